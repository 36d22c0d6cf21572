//! Tests of requests, answers and faults.

mod answers;
mod faults;
mod requests;

use super::*;

const UUID: &str = "9cdccc2f-3243-11e2-8fef-d4bed98c5934";

fn context() -> InvocationContext {
    InvocationContext {
        service_agreement_uuid: UUID.to_uppercase(),
        user_system_uuid: UUID.to_owned(),
        user_uuid: UUID.to_owned(),
        service_uuid: UUID.to_owned(),
        ..InvocationContext::default()
    }
}

fn envelope(body: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Header><x/></soap:Header><soap:Body>{body}</soap:Body>\
         </soap:Envelope>"
    )
}

fn response(name: &str, children: &str) -> String {
    envelope(&format!(
        "<t:{name}Response xmlns:t=\"{SERVICE}\" xmlns:p=\"{PNR}\">{children}</t:{name}Response>"
    ))
}

fn failed(operation: &Operation, status: u16, body: &str) -> Failure {
    reply(operation, status, body.as_bytes()).unwrap_err()
}

fn kind(operation: &Operation, body: &str) -> FailureKind {
    failed(operation, 200, body).kind
}

fn fault(code: &str, text: &str, detail: &str) -> String {
    envelope(&format!(
        "<soap:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring><detail>{detail}</detail>\
         </soap:Fault>"
    ))
}

fn detail(code: &str, text: &str) -> String {
    format!(
        "<o:other xmlns:o=\"urn:o\"/><f:ServiceplatformFault \
         xmlns:f=\"http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/\"><f:ErrorList><f:Error>\
         <f:ErrorCode>{code}</f:ErrorCode><f:ErrorText>{text}</f:ErrorText></f:Error></f:ErrorList>\
         </f:ServiceplatformFault>"
    )
}
