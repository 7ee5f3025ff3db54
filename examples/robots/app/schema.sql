-- The tables of Robots-as-a-Service. Safe to run again.
CREATE TABLE IF NOT EXISTS robots (
    id      text PRIMARY KEY,
    model   text NOT NULL,
    depot   integer NOT NULL,
    battery integer NOT NULL CHECK (battery BETWEEN 0 AND 100)
);

CREATE TABLE IF NOT EXISTS jobs (
    id          bigserial PRIMARY KEY,
    robot       text NOT NULL REFERENCES robots (id),
    task        text NOT NULL,
    starts_at   timestamptz NOT NULL,
    traceparent text NOT NULL,
    status      text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'done')),
    queued_at   timestamptz NOT NULL DEFAULT now(),
    done_at     timestamptz
);

CREATE INDEX IF NOT EXISTS jobs_queued ON jobs (id) WHERE status = 'queued';

-- The docks' displays have three digits.
CREATE SEQUENCE IF NOT EXISTS dock_tickets MINVALUE 100 MAXVALUE 999;

GRANT SELECT ON robots TO bot, action;
GRANT SELECT, INSERT ON jobs TO schedule;
GRANT SELECT, UPDATE ON jobs TO action;
GRANT USAGE ON SEQUENCE jobs_id_seq, dock_tickets TO schedule;

-- Every twelfth robot of the fleet is an old one with a weak battery.
INSERT INTO robots (id, model, depot, battery)
SELECT model || '-' || number, model, (number * 7) % 150, CASE WHEN number = 12 THEN 9 ELSE 40 + number * 4 END
FROM unnest(ARRAY['porter', 'picker', 'welder', 'painter', 'sorter', 'packer']) AS model, generate_series(1, 12) AS number
ON CONFLICT DO NOTHING;
