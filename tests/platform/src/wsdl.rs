//! The description of the service (WSDL), made from the contract that the stand-in speaks.
//!
//! It is not the official file, which is no valid XML Schema. It describes the same messages.

use crate::contract::Contract;
use crate::request_validation::{CONTEXT, PNR, TNS};
use crate::soap_response::escape;

/// Returns the WSDL of the service at this URL.
pub(crate) fn wsdl(contract: Contract, url: &str) -> String {
    let operations = operations(contract);
    let each = |form: &dyn Fn(&str, &str) -> String| {
        let texts = operations.iter();
        let texts = texts.map(|(name, argument)| form(name, argument));
        texts.collect::<String>()
    };
    let elements = each(&|name, argument| {
        let answer = match name {
            "GetAllFilters" => filters(contract),
            _ => r#"<xs:element name="Result" type="xs:string"/>"#.to_owned(),
        };
        let context = r#"<xs:element ref="ctx:InvocationContext"/>"#;
        let request = sequence(name, &format!("{context}{argument}"));
        request + &sequence(&format!("{name}Response"), &answer)
    });
    let messages = each(&|name, _| {
        let message = |message: &str, element: &str| {
            format!(
                r#"<wsdl:message name="{message}"><wsdl:part name="parameters" element="tns:{element}"/></wsdl:message>"#
            )
        };
        message(&format!("{name}Request"), name)
            + &message(&format!("{name}Response"), &format!("{name}Response"))
    });
    let port_type = each(&|name, _| {
        format!(
            r#"<wsdl:operation name="{name}"><wsdl:input message="tns:{name}Request"/><wsdl:output message="tns:{name}Response"/></wsdl:operation>"#
        )
    });
    let binding = each(&|name, _| {
        let body = r#"<soap:body use="literal"/>"#;
        format!(
            r#"<wsdl:operation name="{name}"><soap:operation soapAction=""/><wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output></wsdl:operation>"#
        )
    });
    let groups = match contract.has_no_filter() {
        true => GROUPS,
        false => &GROUPS[..4],
    };
    let groups: String = groups
        .iter()
        .map(|group| format!(r#"<xs:enumeration value="{group}"/>"#))
        .collect();
    let url = escape(url).replace('"', "&quot;");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions name="CprSubscriptionWebService" targetNamespace="{TNS}" xmlns:tns="{TNS}" xmlns:ctx="{CONTEXT}" xmlns:pnr="{PNR}" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<wsdl:types>
<xs:schema targetNamespace="{PNR}" elementFormDefault="qualified"><xs:element name="PNR"><xs:simpleType><xs:restriction base="xs:string"><xs:maxLength value="10"/></xs:restriction></xs:simpleType></xs:element></xs:schema>
<xs:schema targetNamespace="{CONTEXT}" elementFormDefault="qualified">{INVOCATION_CONTEXT}</xs:schema>
<xs:schema targetNamespace="{TNS}" elementFormDefault="qualified"><xs:import namespace="{PNR}"/><xs:import namespace="{CONTEXT}"/>{ARGUMENTS}<xs:simpleType name="FilterGroupType"><xs:restriction base="xs:string">{groups}</xs:restriction></xs:simpleType>{elements}</xs:schema>
</wsdl:types>
{messages}
<wsdl:portType name="CprSubscriptionWebServicePortType">{port_type}</wsdl:portType>
<wsdl:binding name="CprSubscriptionWebServiceBinding" type="tns:CprSubscriptionWebServicePortType"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>{binding}</wsdl:binding>
<wsdl:service name="CprSubscriptionWebService"><wsdl:port name="CprSubscriptionWebServicePort" binding="tns:CprSubscriptionWebServiceBinding"><soap:address location="{url}"/></wsdl:port></wsdl:service>
</wsdl:definitions>
"#
    )
}

/// Returns the operations, each with the element after the invocation context.
fn operations(contract: Contract) -> Vec<(String, &'static str)> {
    let mut operations = Vec::new();
    for (subject, argument) in SUBJECTS {
        if subject == "NoFilter" && !contract.has_no_filter() {
            continue;
        }
        for verb in ["Add", "Remove"] {
            operations.push((format!("{verb}{subject}Subscription"), argument));
        }
    }
    let group = r#"<xs:element name="FilterGroup" type="tns:FilterGroupType"/>"#;
    operations.push(("RemoveAll".to_owned(), group));
    operations.push(("GetAllFilters".to_owned(), ""));
    operations
}

/// Returns the content of the answer to `GetAllFilters`.
fn filters(contract: Contract) -> String {
    let lists: String = [
        "tns:AgeRange",
        "tns:ChangeCode",
        "tns:MunicipalityCode",
        "pnr:PNR",
    ]
    .iter()
    .map(|name| format!(r#"<xs:element ref="{name}" minOccurs="0" maxOccurs="unbounded"/>"#))
    .collect();
    match contract.has_no_filter() {
        true => lists + r#"<xs:element name="noFilter" type="xs:boolean"/>"#,
        false => lists,
    }
}

fn sequence(name: &str, content: &str) -> String {
    format!(
        r#"<xs:element name="{name}"><xs:complexType><xs:sequence>{content}</xs:sequence></xs:complexType></xs:element>"#
    )
}

const SUBJECTS: [(&str, &str); 5] = [
    ("PNR", r#"<xs:element ref="pnr:PNR"/>"#),
    ("AgeRange", r#"<xs:element ref="tns:AgeRange"/>"#),
    (
        "MunicipalityCode",
        r#"<xs:element ref="tns:MunicipalityCode"/>"#,
    ),
    ("ChangeCode", r#"<xs:element ref="tns:ChangeCode"/>"#),
    ("NoFilter", ""),
];

const GROUPS: &[&str] = &[
    "PNR",
    "AgeRange",
    "MunicipalityCode",
    "EventChangeCode",
    "NoFilter",
];

const INVOCATION_CONTEXT: &str = r#"<xs:simpleType name="UUID"><xs:restriction base="xs:string"><xs:pattern value="[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"/></xs:restriction></xs:simpleType><xs:simpleType name="Text"><xs:restriction base="xs:string"><xs:maxLength value="255"/></xs:restriction></xs:simpleType><xs:element name="InvocationContext"><xs:complexType><xs:all><xs:element name="ServiceAgreementUUID" type="ctx:UUID"/><xs:element name="UserSystemUUID" type="ctx:UUID"/><xs:element name="UserUUID" type="ctx:UUID"/><xs:element name="ServiceUUID" type="ctx:UUID"/><xs:element name="OnBehalfOfUser" type="ctx:Text" minOccurs="0"/><xs:element name="CallersServiceCallIdentifier" type="ctx:Text" minOccurs="0"/><xs:element name="AccountingInfo" type="ctx:Text" minOccurs="0"/></xs:all></xs:complexType></xs:element>"#;

const ARGUMENTS: &str = r#"<xs:element name="MunicipalityCode" type="xs:nonNegativeInteger"/><xs:element name="ChangeCode"><xs:simpleType><xs:restriction base="xs:string"><xs:maxLength value="3"/></xs:restriction></xs:simpleType></xs:element><xs:element name="AgeRange"><xs:complexType><xs:sequence><xs:element name="StartAge" type="xs:nonNegativeInteger"/><xs:element name="EndAge" type="xs:nonNegativeInteger"/></xs:sequence></xs:complexType></xs:element>"#;
