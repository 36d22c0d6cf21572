-- The text of a house number, floor or door without leading zeros; NULL if there is none
CREATE OR REPLACE FUNCTION without_zeros(code text) RETURNS text STABLE
RETURN nullif(trim(LEADING '0' FROM trim(code)), '');

-- A floor in Danish: 3. for 03, st. for st
CREATE OR REPLACE FUNCTION danish_floor(code text) RETURNS text STABLE
RETURN lower(without_zeros(code)) || '.';

-- Street, house number, floor and door in Danish: Algade 62, 3. th
CREATE OR REPLACE FUNCTION danish_street(street text, house_number text, floor text, door text) RETURNS text STABLE
RETURN nullif(concat_ws(', ',
  nullif(concat_ws(' ', nullif(trim(street), ''), upper(without_zeros(house_number))), ''),
  nullif(concat_ws(' ', danish_floor(floor), lower(without_zeros(door))), '')
), '');

-- The name of the household where a person lives, with c/o before it
CREATE OR REPLACE FUNCTION danish_co_name(name text) RETURNS text STABLE
RETURN CASE
  WHEN trim(name) = '' THEN NULL
  WHEN lower(trim(name)) LIKE 'c/o%' OR lower(trim(name)) LIKE 'v/%' THEN trim(name)
  ELSE 'c/o ' || trim(name)
END;

-- A code of which 0000 means that there is none
CREATE OR REPLACE FUNCTION code_or_null(code text) RETURNS text STABLE
RETURN nullif(nullif(trim(code), ''), '0000');

-- The age in whole years on a day
CREATE OR REPLACE FUNCTION age_on(birth_date date, on_day date) RETURNS integer STABLE
RETURN CAST(extract(YEAR FROM on_day) - extract(YEAR FROM birth_date) AS integer)
  - CASE WHEN to_char(on_day, 'MMDD') < to_char(birth_date, 'MMDD') THEN 1 ELSE 0 END;

-- The name of a person; NULL if there is none
CREATE OR REPLACE FUNCTION full_name_of(given_name text, middle_name text, surname text) RETURNS text STABLE
RETURN nullif(concat_ws(' ', nullif(trim(given_name), ''), nullif(trim(middle_name), ''), nullif(trim(surname), '')), '');

{standard}
-- new_since(DAY): the persons who were delivered after a day, and their events since then
CREATE OR REPLACE FUNCTION new_since(since date)
RETURNS TABLE (
  pnr text, full_name text, status text, status_en text, status_da text, event_codes text[], events_en text[],
  events_da text[], protected boolean, as_of date, agreement text
)
STABLE
BEGIN ATOMIC
WITH told AS (
  SELECT DISTINCT event.pnr, event.event_code, code.name_en, code.name_da
  FROM current_event AS event
  LEFT JOIN code_event AS code ON code.code = event.event_code
  WHERE event.as_of > new_since.since AND event.event_code IS NOT NULL
),
of_person AS (
  SELECT told.pnr, array_agg(told.event_code ORDER BY told.event_code COLLATE "C") AS event_codes,
    array_agg(coalesce(told.name_en, told.event_code) ORDER BY told.event_code COLLATE "C") AS events_en,
    array_agg(coalesce(told.name_da, told.event_code) ORDER BY told.event_code COLLATE "C") AS events_da
  FROM told
  GROUP BY told.pnr
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
WHERE person.as_of > new_since.since;
END;
