//! Tests of inboxes over SFTP and in directories, and of SOAP over mutual TLS.

mod keys;
mod local;
mod odd_servers;
mod sftp;
mod sftp_faults;
mod soap;
mod soap_certificates;
