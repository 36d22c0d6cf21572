"""Calls every operation of a subscription service with zeep, and prints the results.

Arguments: URL, CA certificate, client certificate, client key, the UUIDs of agreement, user system, user and service,
and the WSDL (default: subscription.wsdl beside this file).
"""

import pathlib
import sys

import requests
import zeep
import zeep.transports

PNR = "0101010101"


def main(url, authority, certificate, key, agreement, user_system, user, service, wsdl=None):
    session = requests.Session()
    session.verify = authority
    session.cert = (certificate, key)
    session.trust_env = False
    client = zeep.Client(
        wsdl or str(pathlib.Path(__file__).with_name("subscription.wsdl")),
        transport=zeep.transports.Transport(session=session, timeout=20, operation_timeout=20),
    )
    binding = "{http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/}CprSubscriptionWebServiceBinding"
    calls = client.create_service(binding, url)
    context = {
        "ServiceAgreementUUID": agreement,
        "UserSystemUUID": user_system,
        "UserUUID": user,
        "ServiceUUID": service,
        "CallersServiceCallIdentifier": "zeep",
    }

    def call(name, **arguments):
        try:
            answer = getattr(calls, name)(InvocationContext=context, **arguments)
        except zeep.exceptions.Fault as fault:
            print(name, "fault", fault.code)
            return
        if name != "GetAllFilters":
            print(name, answer)
            return
        print(
            name,
            "ages", ",".join(f"{ages.StartAge}-{ages.EndAge}" for ages in answer.AgeRange),
            "codes", ",".join(answer.ChangeCode),
            "municipalities", ",".join(str(code) for code in answer.MunicipalityCode),
            "numbers", len(answer.PNR),
            "all", answer.noFilter,
        )

    ages = {"StartAge": 0, "EndAge": 17}
    call("AddPNRSubscription", PNR=PNR)
    call("AddPNRSubscription", PNR=PNR)
    call("AddAgeRangeSubscription", AgeRange=ages)
    call("AddMunicipalityCodeSubscription", MunicipalityCode=851)
    call("AddChangeCodeSubscription", ChangeCode="A01")
    call("AddNoFilterSubscription")
    call("GetAllFilters")
    call("RemovePNRSubscription", PNR=PNR)
    call("RemovePNRSubscription", PNR=PNR)
    call("RemoveAgeRangeSubscription", AgeRange=ages)
    call("RemoveChangeCodeSubscription", ChangeCode="A01")
    call("RemoveNoFilterSubscription")
    call("RemoveMunicipalityCodeSubscription", MunicipalityCode=101)
    call("RemoveAll", FilterGroup="MunicipalityCode")
    call("GetAllFilters")
    call("AddMunicipalityCodeSubscription", MunicipalityCode=-1)


main(*sys.argv[1:])
