-- today: the day for which the current tables were made, and the number of their generation
CREATE OR REPLACE VIEW today AS
SELECT day, number AS generation
FROM read_json({generation}, columns = {'day': 'DATE', 'number': 'BIGINT'}, hive_partitioning = false);

-- The text of a house number, floor or door without leading zeros; NULL if there is none
CREATE OR REPLACE MACRO without_zeros(code) AS nullif(ltrim(trim(code), '0'), '');

-- A floor in Danish: 3. for 03, st. for st
CREATE OR REPLACE MACRO danish_floor(code) AS lower(without_zeros(code)) || '.';

-- Street, house number, floor and door in Danish: Algade 62, 3. th
CREATE OR REPLACE MACRO danish_street(street, house_number, floor, door) AS
  nullif(concat_ws(', ',
    nullif(concat_ws(' ', nullif(trim(street), ''), upper(without_zeros(house_number))), ''),
    nullif(concat_ws(' ', danish_floor(floor), lower(without_zeros(door))), '')
  ), '');

-- The name of the household where a person lives, with c/o before it
CREATE OR REPLACE MACRO danish_co_name(name) AS
  CASE
    WHEN trim(name) = '' THEN NULL
    WHEN regexp_matches(lower(trim(name)), '^(c/o|v/)') THEN trim(name)
    ELSE 'c/o ' || trim(name)
  END;

-- A code of which 0000 means that there is none
CREATE OR REPLACE MACRO code_or_null(code) AS nullif(nullif(trim(code), ''), '0000');

-- The age in whole years on a day
CREATE OR REPLACE MACRO age_on(birth_date, on_day) AS
  year(on_day) - year(birth_date)
  - CASE WHEN month(on_day) * 100 + day(on_day) < month(birth_date) * 100 + day(birth_date) THEN 1 ELSE 0 END;

-- The name of a person; NULL if there is none
CREATE OR REPLACE MACRO full_name_of(given_name, middle_name, surname) AS
  nullif(concat_ws(' ', nullif(trim(given_name), ''), nullif(trim(middle_name), ''), nullif(trim(surname), '')), '');

-- person_now: one row for each person number
CREATE OR REPLACE VIEW person_now AS
SELECT *
FROM current_person
WHERE pnr IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY pnr ORDER BY as_of DESC, agreement, status, birth_date) = 1;

-- name_now: one row for each person number with a name
CREATE OR REPLACE VIEW name_now AS
SELECT pnr, given_name, middle_name, surname, full_name_of(given_name, middle_name, surname) AS full_name
FROM current_name
QUALIFY row_number() OVER (PARTITION BY pnr ORDER BY as_of DESC, agreement, name_start DESC, surname, given_name) = 1;

-- address_now: one row for each person number with an address, in Danish form. It is no proof of residence.
CREATE OR REPLACE VIEW address_now AS
WITH coded AS (
  SELECT *
  FROM current_address
  QUALIFY row_number() OVER (PARTITION BY pnr ORDER BY as_of DESC, agreement, moved_in DESC, street_code, house_number) = 1
),
plain AS (
  SELECT *
  FROM current_plaintext_address
  QUALIFY row_number() OVER (PARTITION BY pnr ORDER BY as_of DESC, agreement, standard_address) = 1
),
parts AS (
  SELECT
    coalesce(coded.pnr, plain.pnr) AS pnr,
    coalesce(code_or_null(coded.municipality_code), code_or_null(plain.municipality_code)) AS municipality_code,
    coalesce(code_or_null(coded.street_code), code_or_null(plain.street_code)) AS street_code,
    danish_co_name(coalesce(nullif(trim(coded.co_name), ''), plain.co_name)) AS co_name,
    nullif(trim(plain.locality), '') AS place_name,
    coalesce(nullif(trim(coded.street_name), ''), nullif(trim(plain.street_addressing_name), '')) AS street_name,
    coalesce(without_zeros(coded.house_number), without_zeros(plain.house_number)) AS house_number,
    coalesce(without_zeros(coded.floor), without_zeros(plain.floor)) AS floor,
    coalesce(without_zeros(coded.door), without_zeros(plain.door)) AS door,
    nullif(trim(plain.standard_address), '') AS standard_address,
    nullif(trim(plain.town_name), '') AS town_name,
    code_or_null(plain.postal_code) AS postal_code,
    nullif(trim(plain.postal_district), '') AS postal_district,
    CAST(coded.moved_in AS DATE) AS moved_in,
    coded.moved_in_uncertain
  FROM coded
  FULL JOIN plain ON plain.pnr = coded.pnr
),
lines AS (
  SELECT *,
    CASE
      WHEN street_name IS NOT NULL THEN danish_street(street_name, house_number, floor, door)
      ELSE standard_address
    END AS street_line,
    CASE WHEN postal_code IS NOT NULL THEN concat_ws(' ', postal_code, postal_district) END AS postal_line
  FROM parts
)
SELECT pnr, municipality_code, street_code, co_name, place_name, street_name, house_number, floor, door, street_line,
  town_name, postal_code, postal_district, moved_in, moved_in_uncertain,
  nullif(concat_ws(', ', co_name, place_name, street_line, town_name, postal_line), '') AS address
FROM lines;

-- number_changes: each replaced number, the number that replaced it, and the number that is valid now.
-- valid_pnr is NULL if the numbers replace each other in a circle.
CREATE OR REPLACE VIEW number_changes AS
WITH RECURSIVE
-- Replacements according to the 022 record of the valid number and the 001 record of the replaced number.
replacement AS (
  SELECT former_pnr AS pnr,
    CASE WHEN former_pnr <> pnr THEN pnr END AS former_next,
    CASE WHEN former_pnr <> pnr THEN concat(as_of, ' ', agreement, ' ', pnr) END AS former_order,
    CAST(NULL AS VARCHAR) AS own_next,
    CAST(NULL AS DATE) AS own_date,
    pnr_end_date AS former_date,
    0 AS in_use
  FROM current_former_pnr
  WHERE former_pnr IS NOT NULL
  UNION ALL
  SELECT pnr, NULL, NULL,
    CASE WHEN status IN ('50', '60') AND current_pnr <> pnr THEN current_pnr END,
    CASE WHEN status IN ('50', '60') THEN CAST(status_start AS DATE) END,
    NULL,
    CASE WHEN status IN ('30', '50', '60') THEN 0 ELSE 1 END
  FROM person_now
),
-- One step from each number: its own 001 record, or else the newest 022 record.
step AS (
  SELECT pnr,
    CASE
      WHEN max(own_next) IS NOT NULL THEN max(own_next)
      WHEN max(in_use) = 0 THEN max_by(former_next, former_order)
    END AS next_pnr,
    coalesce(max(own_date), max(former_date)) AS changed_on
  FROM replacement
  GROUP BY pnr
),
link AS (
  SELECT pnr, next_pnr, changed_on
  FROM step
  WHERE next_pnr IS NOT NULL
),
walk(pnr, reached, path) AS (
  SELECT pnr, next_pnr, [pnr, next_pnr]
  FROM link
  UNION ALL
  SELECT walk.pnr, link.next_pnr, list_append(walk.path, link.next_pnr)
  FROM walk
  JOIN link ON link.pnr = walk.reached
  WHERE NOT list_contains(walk.path, link.next_pnr)
),
ended AS (
  SELECT walk.pnr, max(CASE WHEN onward.pnr IS NULL THEN walk.reached END) AS valid_pnr
  FROM walk
  LEFT JOIN link AS onward ON onward.pnr = walk.reached
  GROUP BY walk.pnr
)
SELECT link.pnr AS former_pnr, link.next_pnr, ended.valid_pnr, link.changed_on,
  person.status AS former_status, status.name_en AS former_status_en, status.name_da AS former_status_da
FROM link
JOIN ended ON ended.pnr = link.pnr
LEFT JOIN person_now AS person ON person.pnr = link.pnr
LEFT JOIN code_status AS status ON status.code = person.status;

-- protected: the persons who must be treated as protected, whatever the dates of the protection are.
-- own: a protection (004) of name and address, or of a type that cannot be read. relative: a record about a relative
-- (031-033) says so. number: another number of the same person is protected. unclear: the status cannot be read, or the
-- valid number of a replaced number is not known. marked: the tenant's dataset marks the person. nameless: the dataset has
-- names, and none of this person: it may be masked.
CREATE OR REPLACE VIEW protected AS
WITH RECURSIVE
named AS (
  SELECT pnr, 'own' AS reason, start_date AS since
  FROM current_protection
  WHERE protection_type IS NULL OR protection_type NOT IN ('0002', '0003', '0004', '0005')
  UNION ALL
  SELECT mother_pnr, 'relative', protection_start_date
  FROM current_mother_address
  WHERE protection_start_date IS NOT NULL OR list_contains(map_keys(irregular), 'protection_start_date')
  UNION ALL
  SELECT father_pnr, 'relative', protection_start_date
  FROM current_father_address
  WHERE protection_start_date IS NOT NULL OR list_contains(map_keys(irregular), 'protection_start_date')
  UNION ALL
  SELECT child_pnr, 'relative', protection_start_date
  FROM current_child_address
  WHERE protection_start_date IS NOT NULL OR list_contains(map_keys(irregular), 'protection_start_date')
  UNION ALL
  SELECT pnr, 'unclear', NULL
  FROM current_person
  WHERE status IS NULL OR NOT regexp_full_match(status, '[0-9]{2}')
  UNION ALL
  SELECT person.pnr, 'unclear', NULL
  FROM person_now AS person
  LEFT JOIN number_changes AS change ON change.former_pnr = person.pnr
  LEFT JOIN person_now AS valid ON valid.pnr = change.valid_pnr
  WHERE person.status IN ('50', '60') AND valid.pnr IS NULL
  UNION ALL
  SELECT pnr, 'marked', NULL
  FROM current_person
  WHERE protected
),
tied AS (
  SELECT pnr AS one, current_pnr AS other FROM current_person WHERE current_pnr <> pnr
  UNION
  SELECT pnr, former_pnr FROM current_former_pnr WHERE former_pnr <> pnr
),
both_ways AS (
  SELECT one, other FROM tied
  UNION
  SELECT other, one FROM tied
),
reached(pnr) AS (
  SELECT pnr FROM named WHERE pnr IS NOT NULL
  UNION
  SELECT both_ways.other
  FROM reached
  JOIN both_ways ON both_ways.one = reached.pnr
)
SELECT reached.pnr,
  coalesce(min(CASE named.reason WHEN 'own' THEN '1own' WHEN 'marked' THEN '2marked' WHEN 'relative' THEN '3relative'
    WHEN 'unclear' THEN '4unclear' END)[2:], 'number') AS reason,
  min(named.since) AS since
FROM reached
LEFT JOIN named ON named.pnr = reached.pnr
GROUP BY reached.pnr
UNION ALL
SELECT person.pnr, 'nameless', NULL
FROM person_now AS person
WHERE person.status NOT IN ('30', '50', '60')
  AND EXISTS (SELECT 1 FROM current_name WHERE coalesce(surname, given_name) IS NOT NULL)
  AND NOT EXISTS (
    SELECT 1 FROM current_name AS name WHERE name.pnr = person.pnr AND coalesce(name.surname, name.given_name) IS NOT NULL
  )
  AND NOT EXISTS (SELECT 1 FROM reached WHERE reached.pnr = person.pnr);

-- resident: the residents of Denmark, each once, with age today, name, address, municipality and protection
CREATE OR REPLACE VIEW resident AS
SELECT person.pnr, name.full_name, name.given_name, name.middle_name, name.surname,
  person.sex, person.birth_date, age_on(person.birth_date, today.day) AS age,
  person.status, status.name_en AS status_en, status.name_da AS status_da,
  address.address, address.co_name, address.place_name, address.street_line, address.town_name,
  address.postal_code, address.postal_district,
  address.municipality_code, municipality.name_da AS municipality,
  municipality.region_da, municipality.region_en, address.moved_in,
  {is_protected} AS protected,
  person.as_of, person.agreement, today.day AS today
FROM person_now AS person
CROSS JOIN today
LEFT JOIN name_now AS name ON name.pnr = person.pnr
LEFT JOIN address_now AS address ON address.pnr = person.pnr
LEFT JOIN protected ON protected.pnr = person.pnr
LEFT JOIN code_status AS status ON status.code = person.status
LEFT JOIN code_municipality AS municipality ON municipality.code = address.municipality_code
WHERE person.status IN ('01', '03');

-- family: the relatives of each person: child, mother, father, spouse, former_spouse and custody_holder.
-- relative_protected is true for a relative without a 001 record, because a protection would not be known.
CREATE OR REPLACE VIEW family AS
WITH parents AS (
  SELECT *
  FROM current_parents
  QUALIFY row_number() OVER (PARTITION BY pnr ORDER BY as_of DESC, agreement, mother_pnr, father_pnr) = 1
),
named AS (
  SELECT pnr, 'child' AS relation, child_pnr AS relative_pnr, NULL AS text_name, CAST(NULL AS DATE) AS since,
    CAST(NULL AS DATE) AS until, NULL AS custody_type
  FROM current_child
  UNION
  SELECT pnr, 'mother', mother_pnr, mother_name, mother_since, NULL, NULL FROM parents
  UNION
  SELECT pnr, 'father', father_pnr, father_name, father_since, NULL, NULL FROM parents
  UNION
  SELECT pnr, CASE WHEN civil_status IN ('G', 'P') THEN 'spouse' ELSE 'former_spouse' END, spouse_pnr, spouse_name,
    CAST(civil_status_start AS DATE), NULL, NULL
  FROM current_civil_status
  UNION
  SELECT custody.pnr, 'custody_holder',
    CASE custody.custody_type
      WHEN '0003' THEN parents.mother_pnr
      WHEN '0004' THEN parents.father_pnr
      ELSE custody.custodian_pnr
    END,
    CASE custody.custody_type WHEN '0003' THEN parents.mother_name WHEN '0004' THEN parents.father_name END,
    custody.start_date, custody.deletion_date, custody.custody_type
  FROM current_custody AS custody
  LEFT JOIN parents ON parents.pnr = custody.pnr
)
SELECT named.pnr, named.relation, named.relative_pnr,
  coalesce(name.full_name, nullif(trim(named.text_name), '')) AS relative_name,
  relative.birth_date AS relative_birth_date, relative.status AS relative_status,
  named.since, named.until,
  named.until IS NULL OR named.until > today.day AS in_force,
  type.name_en AS custody_en, type.name_da AS custody_da,
  {is_protected} AS protected,
  {is_relative_protected} AS relative_protected
FROM named
CROSS JOIN today
LEFT JOIN person_now AS relative ON relative.pnr = named.relative_pnr
LEFT JOIN name_now AS name ON name.pnr = named.relative_pnr
LEFT JOIN protected ON protected.pnr = named.pnr
LEFT JOIN protected AS protected_relative ON protected_relative.pnr = named.relative_pnr
LEFT JOIN code_custody_type AS type ON type.code = named.custody_type
WHERE named.pnr IS NOT NULL AND (named.relative_pnr IS NOT NULL OR nullif(trim(named.text_name), '') IS NOT NULL);

-- moves: each move to an address in Denmark, and the address or country before. Annulled and corrected rows are left out.
CREATE OR REPLACE VIEW moves AS
WITH homes AS (
  SELECT pnr, moved_in, moved_in_uncertain, municipality_code, street_code, house_number, floor, door, TRUE AS is_current
  FROM current_address
  UNION
  SELECT pnr, moved_in, moved_in_uncertain, municipality_code, street_code, house_number, floor, door, FALSE
  FROM current_address_history
  WHERE correction_mark IS NULL
),
known AS (
  SELECT pnr, CAST(moved_in AS DATE) AS moved_on, moved_in_uncertain AS uncertain, is_current,
    code_or_null(municipality_code) AS municipality_code, code_or_null(street_code) AS street_code,
    lag(code_or_null(municipality_code)) OVER from_before AS from_municipality_code,
    lag(code_or_null(street_code)) OVER from_before AS from_street_code
  FROM homes
  WHERE pnr IS NOT NULL AND moved_in IS NOT NULL AND code_or_null(municipality_code) IS NOT NULL
  WINDOW from_before AS (
    PARTITION BY pnr
    ORDER BY moved_in, is_current, municipality_code, street_code, house_number, floor, door
  )
),
arrivals AS (
  SELECT pnr, CAST(immigrated AS DATE) AS moved_on, min(immigration_country_code) AS country_code
  FROM current_emigration_history
  WHERE correction_mark IS NULL AND immigrated IS NOT NULL
  GROUP BY ALL
)
SELECT known.pnr, known.moved_on, known.uncertain, known.is_current,
  known.municipality_code, municipality.name_da AS municipality, known.street_code,
  CASE WHEN arrivals.pnr IS NULL THEN known.from_municipality_code END AS from_municipality_code,
  CASE WHEN arrivals.pnr IS NULL THEN before.name_da END AS from_municipality,
  CASE WHEN arrivals.pnr IS NULL THEN known.from_street_code END AS from_street_code,
  arrivals.country_code AS from_country_code, country.name_en AS from_country_en, country.name_da AS from_country_da,
  {is_protected} AS protected
FROM known
LEFT JOIN arrivals ON arrivals.pnr = known.pnr AND arrivals.moved_on = known.moved_on
LEFT JOIN protected ON protected.pnr = known.pnr
LEFT JOIN code_municipality AS municipality ON municipality.code = known.municipality_code
LEFT JOIN code_municipality AS before ON before.code = known.from_municipality_code
LEFT JOIN code_country AS country ON country.code = arrivals.country_code;

-- births: each person with birth date, place of registration and parents. Annulled and replaced numbers are left out.
CREATE OR REPLACE VIEW births AS
WITH place AS (
  SELECT *
  FROM current_birth_registration
  QUALIFY row_number() OVER (PARTITION BY pnr ORDER BY as_of DESC, agreement, birth_authority_code) = 1
),
parents AS (
  SELECT *
  FROM current_parents
  QUALIFY row_number() OVER (PARTITION BY pnr ORDER BY as_of DESC, agreement, mother_pnr, father_pnr) = 1
)
SELECT person.pnr, person.birth_date, person.birth_date_uncertain AS uncertain, person.sex, name.full_name,
  code_or_null(place.birth_authority_code) AS birth_authority_code,
  coalesce(authority.name_da, nullif(trim(place.birth_authority_text), '')) AS birth_authority,
  parents.mother_pnr, parents.father_pnr, address.municipality_code, municipality.name_da AS municipality,
  {is_protected} AS protected
FROM person_now AS person
LEFT JOIN name_now AS name ON name.pnr = person.pnr
LEFT JOIN place ON place.pnr = person.pnr
LEFT JOIN parents ON parents.pnr = person.pnr
LEFT JOIN address_now AS address ON address.pnr = person.pnr
LEFT JOIN protected ON protected.pnr = person.pnr
LEFT JOIN code_authority AS authority ON authority.code = code_or_null(place.birth_authority_code)
LEFT JOIN code_municipality AS municipality ON municipality.code = address.municipality_code
WHERE person.status NOT IN ('30', '50', '60');

-- deaths: the persons who died, with age
CREATE OR REPLACE VIEW deaths AS
SELECT person.pnr, CAST(person.status_start AS DATE) AS died_on, person.status_start_uncertain AS uncertain,
  person.birth_date, age_on(person.birth_date, CAST(person.status_start AS DATE)) AS age, person.sex, name.full_name,
  {is_protected} AS protected
FROM person_now AS person
LEFT JOIN name_now AS name ON name.pnr = person.pnr
LEFT JOIN protected ON protected.pnr = person.pnr
WHERE person.status = '90';

-- new_since(DAY): the persons who were delivered after a day, and their events since then
CREATE OR REPLACE MACRO new_since(since) AS TABLE
WITH told AS (
  SELECT DISTINCT event.pnr, event.event_code, code.name_en, code.name_da
  FROM current_event AS event
  LEFT JOIN code_event AS code ON code.code = event.event_code
  WHERE event.as_of > since AND event.event_code IS NOT NULL
),
of_person AS (
  SELECT pnr, list(event_code ORDER BY event_code) AS event_codes,
    list(coalesce(name_en, event_code) ORDER BY event_code) AS events_en,
    list(coalesce(name_da, event_code) ORDER BY event_code) AS events_da
  FROM told
  GROUP BY pnr
)
SELECT person.pnr, name.full_name, person.status, status.name_en AS status_en, status.name_da AS status_da,
  of_person.event_codes, of_person.events_en, of_person.events_da,
  {is_protected} AS protected,
  person.as_of, person.agreement
FROM person_now AS person
LEFT JOIN name_now AS name ON name.pnr = person.pnr
LEFT JOIN of_person ON of_person.pnr = person.pnr
LEFT JOIN protected ON protected.pnr = person.pnr
LEFT JOIN code_status AS status ON status.code = person.status
WHERE person.as_of > since;
