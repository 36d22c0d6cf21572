//! The view `pnr_resolution`: the valid person number for each replaced one.

use super::{PERSON, PublishedDataset};

/// The table of the 022 records.
const FORMER: &str = "former_pnr";

/// The comment above the view.
pub(super) const MEANING: &str = "\
pnr_resolution: for each number that was replaced, the number that is valid now.
The valid number is NULL if the numbers replace each other in a circle.";

/// The published records that contain replaced numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources {
    /// The 001 record of the replaced number, with its status and the number now valid.
    own: bool,
    /// The 022 record of the valid number.
    former: bool,
}

impl Sources {
    /// Returns the sources that a dataset contains.
    pub(super) fn of(published: &PublishedDataset) -> Self {
        let has = |table, columns: &[&str]| {
            let mut columns = columns.iter();
            columns.all(|column| published.has_column(table, column))
        };
        Self {
            own: has(PERSON, &["pnr", "status", "current_pnr"]),
            former: has(FORMER, &["pnr", "former_pnr"]),
        }
    }

    /// Returns whether there is a source.
    pub(super) fn any(&self) -> bool {
        self.own || self.former
    }

    /// Returns the tables whose views the query reads.
    pub(super) fn tables(self) -> Vec<&'static str> {
        let own = self.own.then_some(PERSON);
        let former = self.former.then_some(FORMER);
        own.into_iter().chain(former).collect()
    }

    /// Returns the query, which works in every dialect.
    pub(super) fn query(self) -> String {
        let step = match (self.own, self.former) {
            (true, true) => STEP_OF_BOTH,
            (true, false) => STEP_OF_OWN,
            (false, _) => STEP_OF_FORMER,
        };
        format!("WITH RECURSIVE\n{step},\n{WALK}")
    }
}

// A number that is in use was not replaced, even if an old 022 record says so. If its own 001 record names the number
// that replaced it, that number counts. At most one step leads from each number.
//
// These queries have no join, and no filter except IS NOT NULL. Otherwise Spark 4 can add a partition filter to the plan
// to read less, and then fails because the filter is inside a recursion.

const STEP_OF_BOTH: &str = "\
-- Replacements according to the 022 record of the valid number and the 001 record of the replaced number.
replacement AS (
  SELECT former_pnr AS pnr,
    CASE WHEN former_pnr <> pnr THEN pnr END AS former_next,
    CASE WHEN former_pnr <> pnr THEN concat(delivery, ' ', pnr) END AS former_order,
    CAST(NULL AS STRING) AS own_next,
    0 AS in_use
  FROM former_pnr
  UNION ALL
  SELECT pnr, CAST(NULL AS STRING), CAST(NULL AS STRING),
    CASE WHEN status IN ('50', '60') AND current_pnr <> pnr THEN current_pnr END,
    CASE WHEN status IN ('30', '50', '60') THEN 0 ELSE 1 END
  FROM person
),
-- One step from each number: its own 001 record, or else the newest 022 record.
step AS (
  SELECT pnr,
    CASE
      WHEN max(own_next) IS NOT NULL THEN max(own_next)
      WHEN max(in_use) = 0 THEN max_by(former_next, former_order)
    END AS next_pnr
  FROM replacement
  GROUP BY pnr
)";

const STEP_OF_OWN: &str = "\
-- One step from each number: its own 001 record.
step AS (
  SELECT pnr,
    max(CASE WHEN status IN ('50', '60') AND current_pnr <> pnr THEN current_pnr END) AS next_pnr
  FROM person
  GROUP BY pnr
)";

const STEP_OF_FORMER: &str = "\
-- One step from each number: the newest 022 record.
step AS (
  SELECT former_pnr AS pnr,
    max_by(
      CASE WHEN former_pnr <> pnr THEN pnr END,
      CASE WHEN former_pnr <> pnr THEN concat(delivery, ' ', pnr) END
    ) AS next_pnr
  FROM former_pnr
  GROUP BY former_pnr
)";

/// The part of the query that follows the steps. The column `path` ends a walk that would repeat a number.
const WALK: &str = "\
link AS (
  SELECT pnr, next_pnr
  FROM step
  WHERE pnr IS NOT NULL AND next_pnr IS NOT NULL
),
-- All walks: each ends when there is no next step or the next number is already in the path.
walk(pnr, reached, path) AS (
  SELECT pnr, next_pnr, concat(pnr, ' ', next_pnr)
  FROM link
  UNION ALL
  SELECT walk.pnr, link.next_pnr, concat(walk.path, ' ', link.next_pnr)
  FROM walk
  JOIN link ON link.pnr = walk.reached
  WHERE NOT contains(walk.path, link.next_pnr)
)
SELECT walk.pnr,
  max(CASE WHEN onward.pnr IS NULL THEN walk.reached END) AS current_pnr
FROM walk
LEFT JOIN link AS onward ON onward.pnr = walk.reached
GROUP BY walk.pnr";
