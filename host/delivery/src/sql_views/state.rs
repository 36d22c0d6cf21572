//! The queries of the views that say which delivery is current for each person number.
//!
//! Deliveries of all agreements are compared by their names, which begin with the production date and the sequence number
//! in the dataset. The end of a subscription says nothing about the person, so it ends the state of its agreement alone.

/// The comment above the view of each agreement's latest delivery.
pub(super) const BY_AGREEMENT: &str = "latest_by_agreement: for each agreement and number, the latest delivery with a 001 record for it";

/// The query of that view, in a dataset without a scope.
pub(super) const BY_AGREEMENT_QUERY: &str = "\
SELECT agreement, pnr, max(delivery) AS delivery
FROM published_person
WHERE pnr IS NOT NULL
GROUP BY agreement, pnr";

/// The comment above the same view in a tenant's dataset.
pub(super) const BY_AGREEMENT_IN_SCOPE: &str = "\
latest_by_agreement: for each agreement and number, the latest delivery with a 001 record for it.
Numbers whose subscription ended in that delivery or a later one of the agreement are left out.";

/// The query of that view.
pub(super) const BY_AGREEMENT_IN_SCOPE_QUERY: &str = "\
SELECT agreement, pnr, max(delivery) AS delivery
FROM (
  SELECT agreement, pnr, delivery, CAST(NULL AS STRING) AS ended_with FROM published_person
  UNION ALL
  SELECT agreement, pnr, CAST(NULL AS STRING), delivery FROM published_out_of_scope WHERE reason = 'unsubscribed'
) AS delivered_or_ended
WHERE pnr IS NOT NULL
GROUP BY agreement, pnr
HAVING coalesce(max(ended_with), '') < max(delivery)";

/// The comment above the view of the delivery that is current.
pub(super) const LATEST: &str = "latest_delivery: for each number, the latest delivery of any agreement with a 001 record for it";

/// The query of that view, in a dataset without a scope.
pub(super) const LATEST_QUERY: &str = "\
SELECT max_by(agreement, concat(delivery, ' ', agreement)) AS agreement, pnr, max(delivery) AS delivery
FROM latest_by_agreement
GROUP BY pnr";

/// The comment above the same view in a tenant's dataset.
pub(super) const LATEST_IN_SCOPE: &str = "\
latest_delivery: for each number, the latest delivery of any agreement with a 001 record for it.
Numbers that are out of scope in that delivery or a later one are left out.";

/// The query of that view.
pub(super) const LATEST_IN_SCOPE_QUERY: &str = "\
SELECT max_by(agreement, place) AS agreement, pnr, max(delivery) AS delivery
FROM (
  SELECT agreement, pnr, delivery, concat(delivery, ' ', agreement) AS place, CAST(NULL AS STRING) AS left_with
  FROM latest_by_agreement
  UNION ALL
  SELECT CAST(NULL AS STRING), pnr, CAST(NULL AS STRING), CAST(NULL AS STRING), delivery
  FROM published_out_of_scope
  WHERE reason <> 'unsubscribed'
) AS delivered_or_left
GROUP BY pnr
HAVING coalesce(max(left_with), '') < max(delivery)";

/// The joins and the condition that leave out the events of persons who left the scope later.
pub(super) const STILL_IN_SCOPE: &str = "\
LEFT JOIN (
  SELECT pnr AS left_pnr, max(delivery) AS left_with
  FROM published_out_of_scope
  WHERE reason <> 'unsubscribed'
  GROUP BY pnr
) AS latest_leave
  ON left_pnr = delivered.pnr
LEFT JOIN (
  SELECT agreement AS ended_agreement, pnr AS ended_pnr, max(delivery) AS ended_with
  FROM published_out_of_scope
  WHERE reason = 'unsubscribed'
  GROUP BY agreement, pnr
) AS latest_end
  ON ended_agreement = delivered.agreement AND ended_pnr = delivered.pnr
WHERE (left_with IS NULL OR left_with < delivered.delivery) AND (ended_with IS NULL OR ended_with < delivered.delivery)";
