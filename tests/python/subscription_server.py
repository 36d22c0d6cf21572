"""An independent subscription service: spyne serves it, and lxml validates requests and responses against the WSDL.

Arguments: server certificate, server key, CA certificate of clients, and the UUIDs of agreement, user system, user and
service. The server listens on a free port on loopback and prints it. It prints the name of every operation that it
performs, and stops at the end of standard input.
"""

import io
import logging
import pathlib
import re
import ssl
import sys
import threading
import wsgiref.simple_server

import lxml.etree
from spyne import (
    Application,
    Boolean,
    ComplexModel,
    Fault,
    Integer,
    ServiceBase,
    Unicode,
    UnsignedInteger,
    rpc,
)
from spyne.protocol.soap import Soap11
from spyne.server.wsgi import WsgiApplication

SERVICE = "http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/"
CONTEXT = "http://serviceplatformen.dk/xml/schemas/InvocationContext/1/"
PERSON = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SCHEMA = "http://www.w3.org/2001/XMLSchema"


class InvocationContext(ComplexModel):
    __namespace__ = CONTEXT
    ServiceAgreementUUID = Unicode(min_occurs=1)
    UserSystemUUID = Unicode(min_occurs=1)
    UserUUID = Unicode(min_occurs=1)
    ServiceUUID = Unicode(min_occurs=1)
    OnBehalfOfUser = Unicode
    CallersServiceCallIdentifier = Unicode
    AccountingInfo = Unicode


class AgeRange(ComplexModel):
    __namespace__ = SERVICE
    StartAge = UnsignedInteger(min_occurs=1)
    EndAge = UnsignedInteger(min_occurs=1)


Context = InvocationContext.customize(sub_ns=CONTEXT)
Number = Unicode(sub_ns=PERSON)
FILTERS = {"PNR": set(), "AgeRange": set(), "MunicipalityCode": set(), "EventChangeCode": set(), "NoFilter": set()}
MISSING = {
    "PNR": "NON_EXISTING_PNR",
    "AgeRange": "NON_EXISTING_AGERANGE",
    "MunicipalityCode": "NON_EXISTING_MUNICIPALITYCODE",
    "EventChangeCode": "NON_EXISTING_CHANGECODE",
    "NoFilter": "REMOVED",
}


def called(name, context):
    print(name, flush=True)
    given = [context.ServiceAgreementUUID, context.UserSystemUUID, context.UserUUID, context.ServiceUUID]
    if given != UUIDS:
        raise Fault("Server", "CPR ReplicaSubscription - no PNR subscription configured for serviceAgreement")


def add(group, value):
    if value in FILTERS[group]:
        return "ALREADY_EXISTED"
    FILTERS[group].add(value)
    return "ADDED"


def remove(group, value):
    if value not in FILTERS[group]:
        return MISSING[group]
    FILTERS[group].remove(value)
    return "REMOVED"


def changes(kind, group, argument, value):
    """Returns the add and the remove operation of a filter kind."""

    def operation(verb, act):
        name = f"{verb}{kind}Subscription"

        def change(ctx, context, *given):
            called(name, context)
            return act(group, value(*given))

        change.__name__ = name
        arguments = {"InvocationContext": Context, **argument}
        return rpc(*arguments.values(), _args=list(arguments), _returns=Unicode, _out_variable_name="Result")(change)

    return operation("Add", add), operation("Remove", remove)


class CprSubscriptionWebService(ServiceBase):
    AddPNRSubscription, RemovePNRSubscription = changes("PNR", "PNR", {"PNR": Number}, str)
    AddAgeRangeSubscription, RemoveAgeRangeSubscription = changes(
        "AgeRange", "AgeRange", {"AgeRange": AgeRange}, lambda ages: (int(ages.StartAge), int(ages.EndAge))
    )
    AddMunicipalityCodeSubscription, RemoveMunicipalityCodeSubscription = changes(
        "MunicipalityCode", "MunicipalityCode", {"MunicipalityCode": Integer}, int
    )
    AddChangeCodeSubscription, RemoveChangeCodeSubscription = changes(
        "ChangeCode", "EventChangeCode", {"ChangeCode": Unicode}, str
    )
    AddNoFilterSubscription, RemoveNoFilterSubscription = changes("NoFilter", "NoFilter", {}, lambda: True)

    @rpc(Context, Unicode, _returns=Unicode, _out_variable_name="Result")
    def RemoveAll(ctx, InvocationContext, FilterGroup):
        called("RemoveAll", InvocationContext)
        FILTERS[FilterGroup].clear()
        return "REMOVED"

    @rpc(
        Context,
        _returns=[
            AgeRange.customize(max_occurs="unbounded"),
            Unicode(max_occurs="unbounded"),
            Integer(max_occurs="unbounded"),
            Unicode(max_occurs="unbounded", sub_ns=PERSON),
            Boolean,
        ],
        _out_variable_names=["AgeRange", "ChangeCode", "MunicipalityCode", "PNR", "noFilter"],
    )
    def GetAllFilters(ctx, InvocationContext):
        called("GetAllFilters", InvocationContext)
        ages = [AgeRange(StartAge=start, EndAge=end) for start, end in sorted(FILTERS["AgeRange"])]
        return (
            ages,
            sorted(FILTERS["EventChangeCode"]),
            sorted(FILTERS["MunicipalityCode"]),
            sorted(FILTERS["PNR"]),
            bool(FILTERS["NoFilter"]),
        )


def schema():
    """Returns the schema of the WSDL, whose three parts import each other by namespace."""
    wsdl = lxml.etree.parse(pathlib.Path(__file__).with_name("subscription.wsdl"))
    parts = {part.get("targetNamespace"): part for part in wsdl.iter(f"{{{SCHEMA}}}schema")}
    for part in parts.values():
        for other in part.iter(f"{{{SCHEMA}}}import"):
            other.set("schemaLocation", other.get("namespace"))

    class Parts(lxml.etree.Resolver):
        def resolve(self, url, public, context):
            return self.resolve_string(lxml.etree.tostring(parts[url]), context)

    parser = lxml.etree.XMLParser()
    parser.resolvers.add(Parts())
    main = lxml.etree.fromstring(lxml.etree.tostring(parts[SERVICE]), parser, base_url="service")
    return lxml.etree.XMLSchema(main)


class ValidatingMiddleware:
    """Passes on only requests and responses that are valid according to the WSDL."""

    def __init__(self, application):
        self.application = application
        self.schema = schema()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        violation = self.violation(body)
        if environ.get("HTTP_SOAPACTION") != '""':
            violation = "SOAPAction is not empty"
        if not re.fullmatch(r"text/xml; *charset=utf-8", environ["CONTENT_TYPE"]):
            violation = "Content-Type is not text/xml in UTF-8"
        if violation:
            return self.reject(start_response, violation)
        environ["wsgi.input"] = io.BytesIO(body)
        head = []
        answer = b"".join(self.application(environ, lambda *given: head.extend(given)))
        if head[0].startswith("200"):
            violation = self.violation(answer)
            if violation:
                return self.reject(start_response, f"invalid response of this server: {violation}")
        start_response(head[0], head[1])
        return [answer]

    def violation(self, body):
        """Returns how an envelope violates the contract; None if it is valid."""
        envelope = lxml.etree.fromstring(body)
        children = list(envelope)
        if envelope.tag != f"{{{SOAP}}}Envelope" or children[-1].tag != f"{{{SOAP}}}Body" or len(children[-1]) != 1:
            return "not a SOAP 1.1 envelope with exactly one call"
        content = lxml.etree.fromstring(lxml.etree.tostring(children[-1][0]))
        if self.schema.validate(content):
            return None
        return self.schema.error_log.last_error.message

    def reject(self, start_response, violation):
        print("BREACH", violation, flush=True)
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [b"breach"]


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main(certificate, key, clients, *uuids):
    global UUIDS
    UUIDS = list(uuids)
    # The tests request faults on purpose, and spyne would log each with a traceback.
    logging.disable()
    application = Application(
        [CprSubscriptionWebService],
        tns=SERVICE,
        name="CprSubscriptionWebService",
        in_protocol=Soap11(validator="soft"),
        out_protocol=Soap11(),
    )
    validated = ValidatingMiddleware(WsgiApplication(application))
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, validated, handler_class=QuietHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(clients)
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("PORT", server.server_port, flush=True)
    sys.stdin.read()


main(*sys.argv[1:])
