//! The configuration of the quickstart.

use cprflow_platform::Platform;

/// The municipality that the quickstart subscribes to.
pub(crate) const MUNICIPALITY: &str = "0265";

/// The name of the agreement.
pub(crate) const AGREEMENT: &str = "roskilde";

/// The name of the tenant.
pub(crate) const TENANT: &str = "schools";

/// Returns a configuration like the one of `cprflow init`, with all values filled in.
pub(crate) fn configuration(platform: &Platform) -> String {
    let (sftp, client, agreement) = (
        platform.sftp(),
        platform.client(),
        &platform.agreements()[0],
    );
    format!(
        "dataset = \"dataset\"\nstate = \"state\"\n\n\
         [agreement.{AGREEMENT}]\ncontroller = \"the quickstart, no real controller\"\ninbox = {:?}\nidentity = {:?}\n\
         known_hosts = {:?}\nunrestricted = \"the quickstart, with persons who do not exist\"\n\
         church = {{ purpose = \"the quickstart\" }}\n\n\
         [agreement.{AGREEMENT}.service]\nendpoint = {:?}\nservice_agreement_uuid = {:?}\nuser_system_uuid = {:?}\n\
         user_uuid = {:?}\nmunicipality = \"{MUNICIPALITY}\"\npurpose = \"the quickstart\"\ncertificate = {:?}\n\
         key = {:?}\nca = {:?}\n\n\
         [agreement.{AGREEMENT}.subscription]\nmunicipality_codes = [\"{MUNICIPALITY}\"]\n",
        inbox_address(platform),
        sftp.identity(),
        sftp.known_hosts(),
        platform.url(),
        agreement.uuid,
        agreement.user_system,
        agreement.user,
        client.chain,
        client.key,
        platform.ca(),
    )
}

/// Returns the address of the inbox on the platform's SFTP server.
pub(crate) fn inbox_address(platform: &Platform) -> String {
    let sftp = platform.sftp();
    format!("sftp://{}@{}:{}/IN", sftp.user(), sftp.host(), sftp.port())
}

/// Returns the part of the configuration that adds the tenant.
pub(crate) fn tenant() -> String {
    format!(
        "\n[tenant.{TENANT}]\nagreements = [\"{AGREEMENT}\"]\npurpose = \"Enrolment of children in school\"\n\
         dataset = \"tenants/{TENANT}\"\npersons = {{ municipalities = [\"{MUNICIPALITY}\"], ages = [5, 16] }}\n"
    )
}
