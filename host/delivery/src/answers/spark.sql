-- No limit of rows for the queries that follow replaced numbers
SET spark.sql.cteRecursionRowLimit = -1;

-- The text of a house number, floor or door without leading zeros; NULL if there is none
CREATE OR REPLACE TEMPORARY FUNCTION without_zeros(code STRING) RETURNS STRING
RETURN nullif(trim(LEADING '0' FROM trim(code)), '');

-- A floor in Danish: 3. for 03, st. for st
CREATE OR REPLACE TEMPORARY FUNCTION danish_floor(code STRING) RETURNS STRING
RETURN concat(lower(without_zeros(code)), '.');

-- Street, house number, floor and door in Danish: Algade 62, 3. th
CREATE OR REPLACE TEMPORARY FUNCTION danish_street(street STRING, house_number STRING, floor STRING, door STRING)
RETURNS STRING
RETURN nullif(concat_ws(', ',
  nullif(concat_ws(' ', nullif(trim(street), ''), upper(without_zeros(house_number))), ''),
  nullif(concat_ws(' ', danish_floor(floor), lower(without_zeros(door))), '')
), '');

-- The name of the household where a person lives, with c/o before it
CREATE OR REPLACE TEMPORARY FUNCTION danish_co_name(name STRING) RETURNS STRING
RETURN CASE
  WHEN trim(name) = '' THEN NULL
  WHEN lower(trim(name)) LIKE 'c/o%' OR lower(trim(name)) LIKE 'v/%' THEN trim(name)
  ELSE concat('c/o ', trim(name))
END;

-- A code of which 0000 means that there is none
CREATE OR REPLACE TEMPORARY FUNCTION code_or_null(code STRING) RETURNS STRING
RETURN nullif(nullif(trim(code), ''), '0000');

-- The age in whole years on a day
CREATE OR REPLACE TEMPORARY FUNCTION age_on(birth_date DATE, on_day DATE) RETURNS INT
RETURN year(on_day) - year(birth_date)
  - CASE WHEN month(on_day) * 100 + day(on_day) < month(birth_date) * 100 + day(birth_date) THEN 1 ELSE 0 END;

-- The name of a person; NULL if there is none
CREATE OR REPLACE TEMPORARY FUNCTION full_name_of(given_name STRING, middle_name STRING, surname STRING) RETURNS STRING
RETURN nullif(concat_ws(' ', nullif(trim(given_name), ''), nullif(trim(middle_name), ''), nullif(trim(surname), '')), '');

{standard}
-- new_since(DAY): the persons who were delivered after a day, and their events since then
CREATE OR REPLACE TEMPORARY FUNCTION new_since(since DATE)
RETURNS TABLE (
  pnr STRING, full_name STRING, status STRING, status_en STRING, status_da STRING, event_codes ARRAY<STRING>,
  events_en ARRAY<STRING>, events_da ARRAY<STRING>, protected BOOLEAN, as_of DATE, agreement STRING
)
RETURN
WITH told AS (
  SELECT DISTINCT event.pnr, event.event_code, code.name_en, code.name_da
  FROM current_event AS event
  LEFT JOIN code_event AS code ON code.code = event.event_code
  WHERE event.as_of > new_since.since AND event.event_code IS NOT NULL
),
of_person AS (
  SELECT pnr,
    array_sort(collect_list(struct(
      event_code, coalesce(name_en, event_code) AS name_en, coalesce(name_da, event_code) AS name_da
    ))) AS events
  FROM told
  GROUP BY pnr
)
SELECT person.pnr, name.full_name, person.status, status.name_en AS status_en, status.name_da AS status_da,
  of_person.events.event_code AS event_codes, of_person.events.name_en AS events_en,
  of_person.events.name_da AS events_da,
  {is_protected} AS protected,
  person.as_of, person.agreement
FROM person_now AS person
LEFT JOIN name_now AS name ON name.pnr = person.pnr
LEFT JOIN of_person ON of_person.pnr = person.pnr
LEFT JOIN protected ON protected.pnr = person.pnr
LEFT JOIN code_status AS status ON status.code = person.status
WHERE person.as_of > new_since.since;
