//! Tests of tenants: what each may see, over one and over many deliveries.

mod addresses;
mod attacks;
mod current;
mod current_trouble;
mod daily_job;
mod hidden_exactly;
mod hidden_files;
mod hidden_later;
mod hidden_rows;
mod hidden_values;
mod keys;
mod leavers;
mod marked_nights;
mod oracle;
mod policy;
mod policy_view;
mod produce_again;
mod random;
mod random_policy;
mod refused;
mod register_state;
mod report;
mod requests;
mod stuck;
mod threads;
mod two_agreements;
