//! From numbers that are no longer valid to those that are.

use super::{PERSON, Published};

/// The table of the 022 records.
const FORMER: &str = "former_pnr";

/// What the view says, for its comment.
pub(super) const MEANING: &str = "\
pnr_resolution: for each number that another has replaced, the number that is valid in the end.
Without one the numbers replace each other in a circle, and nobody can tell.";

/// Which records tell of replaced numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources {
    /// The replaced number's own 001: status and the number now valid.
    own: bool,
    /// The valid number's 022.
    told: bool,
}

impl Sources {
    pub(super) fn of(published: &Published) -> Self {
        let has = |table, columns: &[&str]| {
            let mut columns = columns.iter();
            columns.all(|column| published.has_column(table, column))
        };
        Self {
            own: has(PERSON, &["pnr", "status", "current_pnr"]),
            told: has(FORMER, &["pnr", "former_pnr"]),
        }
    }

    pub(super) fn any(&self) -> bool {
        self.own || self.told
    }

    /// The tables whose views the query reads.
    pub(super) fn tables(self) -> Vec<&'static str> {
        let own = self.own.then_some(PERSON);
        let told = self.told.then_some(FORMER);
        own.into_iter().chain(told).collect()
    }

    /// The query, which every dialect understands.
    pub(super) fn query(self) -> String {
        let step = match (self.own, self.told) {
            (true, true) => STEP_OF_BOTH,
            (true, false) => STEP_OF_OWN,
            (false, _) => STEP_OF_TOLD,
        };
        format!("WITH RECURSIVE\n{step},\n{WALK}")
    }
}

// A number that is in use was not replaced, whatever an old 022 says of it; and where its own 001 names the number
// in its place, that counts. At most one step leads from each number.
//
// There is no join here, and no filter but IS NOT NULL: where either promises to save reading, Spark 4 puts a filter
// on partitions into the plan, and then fails because it stands inside a recursion.

const STEP_OF_BOTH: &str = "\
-- What the valid number's record says of the one before it, and what that one's own record says.
said AS (
  SELECT agreement, former_pnr AS pnr,
    CASE WHEN former_pnr <> pnr THEN pnr END AS told_next,
    CASE WHEN former_pnr <> pnr THEN concat(delivery, ' ', pnr) END AS told_when,
    CAST(NULL AS STRING) AS own_next,
    0 AS in_use
  FROM former_pnr
  UNION ALL
  SELECT agreement, pnr, CAST(NULL AS STRING), CAST(NULL AS STRING),
    CASE WHEN status IN ('50', '60') AND current_pnr <> pnr THEN current_pnr END,
    CASE WHEN status IN ('30', '50', '60') THEN 0 ELSE 1 END
  FROM person
),
-- One step from each number: what its own record says counts most, then the newest of the others.
step AS (
  SELECT agreement, pnr,
    CASE
      WHEN max(own_next) IS NOT NULL THEN max(own_next)
      WHEN max(in_use) = 0 THEN max_by(told_next, told_when)
    END AS next_pnr
  FROM said
  GROUP BY agreement, pnr
)";

const STEP_OF_OWN: &str = "\
-- One step from each number: what its own record says.
step AS (
  SELECT agreement, pnr,
    max(CASE WHEN status IN ('50', '60') AND current_pnr <> pnr THEN current_pnr END) AS next_pnr
  FROM person
  GROUP BY agreement, pnr
)";

const STEP_OF_TOLD: &str = "\
-- One step from each number: the newest of what the valid numbers' records say.
step AS (
  SELECT agreement, former_pnr AS pnr,
    max_by(
      CASE WHEN former_pnr <> pnr THEN pnr END,
      CASE WHEN former_pnr <> pnr THEN concat(delivery, ' ', pnr) END
    ) AS next_pnr
  FROM former_pnr
  GROUP BY agreement, former_pnr
)";

/// The path keeps a walk from going round in a circle for ever.
const WALK: &str = "\
link AS (
  SELECT agreement, pnr, next_pnr
  FROM step
  WHERE pnr IS NOT NULL AND next_pnr IS NOT NULL
),
-- All steps, until no other follows or the next would lead back.
walk(agreement, pnr, reached, path) AS (
  SELECT agreement, pnr, next_pnr, concat(pnr, ' ', next_pnr)
  FROM link
  UNION ALL
  SELECT walk.agreement, walk.pnr, link.next_pnr, concat(walk.path, ' ', link.next_pnr)
  FROM walk
  JOIN link ON link.agreement = walk.agreement AND link.pnr = walk.reached
  WHERE NOT contains(walk.path, link.next_pnr)
)
SELECT walk.pnr,
  max(CASE WHEN onward.pnr IS NULL THEN walk.reached END) AS current_pnr,
  walk.agreement
FROM walk
LEFT JOIN link AS onward ON onward.agreement = walk.agreement AND onward.pnr = walk.reached
GROUP BY walk.agreement, walk.pnr";
