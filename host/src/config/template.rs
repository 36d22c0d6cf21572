//! The configuration that `cprflow init` writes: commented, and complete but for what only its user knows.

use crate::agreement::Environment;

/// A commented configuration for an environment of Serviceplatformen.
pub fn template(environment: Environment) -> String {
    let (name, host) = match environment {
        Environment::Test => ("test", "sftpexttest.serviceplatformen.dk"),
        Environment::Production => ("production", "sftp.serviceplatformen.dk"),
    };
    TEMPLATE
        .replace("{environment}", name)
        .replace("{host}", host)
}

const TEMPLATE: &str = r#"# Configuration of cprflow. Relative paths start at this file's directory.
# Check it with `cprflow doctor --config FILE`.

# Where deliveries are published: one directory each, below agreement=NAME.
dataset = "dataset"

# Where the ledger and the spool are. Without it: the user's state directory. With several datasets, each has a
# directory of its own below it; one that was the only one before stays where it is.
# state = "/var/lib/cprflow"

# How often `cprflow sync --watch` looks into the inboxes. The specification suggests six hours.
# interval_minutes = 360

# How long extracts stay in the spool that were set aside or not finished.
# max_age_days = 90

# After how many days the platform deletes what nobody fetched. Its documents say 30 and 40.
# retention_days = 30

# Alarm when nothing has come for so many of CPR's working days.
# silent_working_days = 5

# One service agreement. Its name (small letters, digits, - and _) becomes a directory of the dataset.
[agreement.municipality]

# Who answers for the data. It stands in every _delivery.json.
controller = "The municipality's name"
environment = "{environment}"

# The user that was chosen for simple SFTP in the administration module, and the inbox.
inbox = "sftp://USER@{host}/IN"

# The private key whose public half is registered there; readable by its owner only (chmod 600).
identity = "sftp_key"
# passphrase = { file = "sftp_key.passphrase" }
# passphrase = { env = "CPRFLOW_PASSPHRASE" }

# The server's key: an OpenSSH known_hosts file, or fingerprints. Compare them with what KOMBIT tells you:
# a server is never trusted at first sight.
known_hosts = "known_hosts"
# host_keys = ["SHA256:…"]

# Seconds without any progress after which a connection is given up.
# timeout_seconds = 60

# The record types that the agreement orders, if you want to be told of those that are missing.
# record_types = ["001", "002", "003", "004", "008", "099"]

# Findings of level error that are no reason to set a delivery aside:
# missing-start, missing-end, count-mismatch, damaged-encoding, records-after-end.
accept = []

# Publishes everything of everyone. Say what for; it stands in every _delivery.json. An agreement with tenants (see the
# end of this file) can do without.
# unrestricted = "…"

# What the agreement's files look like. Needed when several agreements share an inbox: a file that fits none of
# them, or two, is nobody's and is set aside.
[agreement.municipality.files]
# name = 'd\d{6}\.l\d{6}'        # a regular expression for the whole name of the data file
# task_numbers = ["000000"]      # of record 000
# sender = "…"                   # as the metadata names it
# recipient = "…"                # the same; your own SFTP user

# The service that keeps the subscription, for `cprflow subscription`. The UUIDs stand in the administration module,
# under service agreements; the certificate is the one that is registered with the IT system there.
# [agreement.municipality.service]
# service_agreement_uuid = "…"
# user_system_uuid = "…"         # the IT system
# user_uuid = "…"                # the municipality
# municipality = "0265"          # its code, to be named before anything is changed
# purpose = "…"                  # what the data is for; it stands in the audit log
# certificate = "client.pem"     # with those that vouch for it
# key = "client.key"             # chmod 600
# pkcs12 = "client.p12"          # in place of the two
# password = { file = "client.p12.password" }               # or { env = "…" }
# next = { certificate = "next.pem", key = "next.key" }     # the certificate that is to follow
# ca = "ca.pem"                  # other authorities than the public ones
# proxy = "http://proxy:3128"    # the environment is never asked for one
# endpoint = "https://…"         # another address than the environment's
# timeout_seconds = 60           # up to 3600

# What the subscription should hold, for `cprflow subscription plan` and `apply`. What is not given is left alone.
# [agreement.municipality.subscription]
# pnr_file = "numbers.txt"       # a person number a line
# municipality_codes = ["0265"]
# age_ranges = ["0-17"]          # this and the next two may reach all of Denmark,
# change_codes = ["A01"]         # so they need:
# no_filter = false
# allow_national = false

# A party that gets its own share of the deliveries, in a dataset of its own, instead of everything. Explain it with
# `cprflow tenant check`. What is not allowed is not there.
# [tenant.schools]
# agreements = ["municipality"]  # whose data it may see
# purpose = "…"                  # what for; it stands in every _delivery.json
# dataset = "tenants/schools"
# group = "…"                    # that may read the dataset beside its owner
# protection = "mask"            # or "drop", or "include": persons with protection of name and address
# numbers = "keep"               # or "drop", or "pseudonym", with
# key = { file = "schools.key" } # openssl rand -hex 32 > schools.key && chmod 600 schools.key
# also_classes = ["economic"]    # beside address, civil-status, name and protection; or all of them: classes = […]
# church = { purpose = "…" }     # church membership (religious belief) needs a purpose of its own
# tables = ["person", "address"] # none but these
# leavers = "notice"             # or "last": who is no longer in scope comes once more in full
# [tenant.schools.persons]       # everybody who meets all of these; without it, everybody
# municipalities = ["0265"]
# statuses = ["01", "03"]
# ages = [5, 16]
# events = ["A01"]
# numbers = "numbers.txt"        # a person number a line, chmod 600
# [tenant.schools.columns]
# person = ["pnr", "status", "birth_date"]
# [tenant.schools.rows]
# event = "event_code in ('A01', 'A05')"
# [tenant.schools.limits]
# memory_mb = 256
# call_ms = 10000
# total_seconds = 7200
# output_mb = 1048576
# rows = 4294967296
# columns = 512
# text_bytes = 131072
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::read;

    #[test]
    fn the_template_is_a_configuration() {
        for environment in [Environment::Test, Environment::Production] {
            let text = template(environment);
            let configuration = read(&text, std::path::Path::new("/etc")).unwrap();
            let agreement = configuration.agreements().next().unwrap();
            assert_eq!(agreement.environment, Some(environment));
        }
    }
}
