-- The state of the connector. One word per thing: see the table of words in DESIGN.md.

-- Who this database is: an outbox-reader that remembers another one replays and backfills.
CREATE TABLE installation (
    id             int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    state_identity uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at     timestamptz NOT NULL DEFAULT now()
);
INSERT INTO installation DEFAULT VALUES;

-- An epoch begins where the outbox is another one, or its sequence went back.
CREATE TABLE epoch (
    epoch           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox_identity uuid NOT NULL,
    restore_mark    text NOT NULL DEFAULT '',
    highest_version bigint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- What links are computed from besides snapshots. A newer generation starts a resumable recomputation.
CREATE TABLE settings_generation (
    generation  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- The newest snapshot of each appointment. A deleted one stays as a tombstone that outlives every message.
CREATE TABLE appointment (
    id              bigint NOT NULL,
    guid            uuid   NOT NULL,
    epoch           int    NOT NULL,
    version         bigint NOT NULL,
    snapshot        jsonb,
    hash            text,
    deleted_at      timestamptz,
    missing_since   timestamptz,
    generation      int    NOT NULL DEFAULT 0,
    importer        text,
    importer_until  timestamptz,
    changed_at      timestamptz,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, guid)
);
CREATE INDEX appointment_version ON appointment (epoch, version);
CREATE INDEX appointment_generation ON appointment (generation);
CREATE INDEX appointment_guid ON appointment (guid);
CREATE INDEX appointment_deleted ON appointment (deleted_at) WHERE deleted_at IS NOT NULL;

-- The calendar of a resource: its state, its leases, its place in the queue.
CREATE TABLE mailbox (
    address        text PRIMARY KEY CHECK (address = lower(address)),
    profile        text,
    state          text NOT NULL DEFAULT 'active',
    state_code     text,
    state_since    timestamptz NOT NULL DEFAULT now(),
    hold_until     timestamptz,
    hold_count     int NOT NULL DEFAULT 0,
    outbound       boolean NOT NULL DEFAULT true,
    inbound        boolean NOT NULL DEFAULT false,
    time_zone      text,
    time_zone_note text,
    time_zone_at   timestamptz,
    adopted_at     timestamptz,
    work_at        timestamptz,
    work_bulk      boolean NOT NULL DEFAULT false,
    wakes          bigint NOT NULL DEFAULT 0,
    write_token    uuid,
    write_holder   text,
    write_until    timestamptz,
    read_token     uuid,
    read_holder    text,
    read_until     timestamptz,
    last_success_at timestamptz,
    subscription   jsonb,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mailbox_work ON mailbox (work_at) WHERE work_at IS NOT NULL;

-- A sign-in that does not work holds every mailbox of its profile.
CREATE TABLE tenant (
    profile     text PRIMARY KEY,
    state       text NOT NULL DEFAULT 'active',
    state_code  text,
    state_since timestamptz NOT NULL DEFAULT now(),
    hold_until  timestamptz,
    hold_count  int NOT NULL DEFAULT 0
);

-- What one event should be and what it was last seen to be.
-- fields: {"subject": {"sent": ..., "seen": ...}, ...}; wanted: null means absent.
CREATE TABLE link (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    appointment_id  bigint NOT NULL,
    appointment_guid uuid  NOT NULL,
    resource_no     text   NOT NULL,
    mailbox         text   NOT NULL REFERENCES mailbox (address),
    surplus_event   text   NOT NULL DEFAULT '',
    wanted          jsonb,
    frozen          text,
    notes           text[] NOT NULL DEFAULT '{}',
    fields          jsonb  NOT NULL DEFAULT '{}',
    event_id        text COLLATE "C",
    ical_uid        text,
    change_key      text,
    incarnation     int    NOT NULL DEFAULT 0,
    adopt           boolean NOT NULL DEFAULT true,
    exchange_id     text,
    want_seq        bigint NOT NULL DEFAULT 0,
    done_seq        bigint NOT NULL DEFAULT 0,
    due_at          timestamptz,
    bulk            boolean NOT NULL DEFAULT false,
    tries           int    NOT NULL DEFAULT 0,
    first_trouble_at timestamptz,
    missing_since   timestamptz,
    restores        int    NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (appointment_id, appointment_guid, resource_no, mailbox, surplus_event)
);
CREATE INDEX link_due ON link (mailbox, bulk, due_at) WHERE want_seq > done_seq;
CREATE INDEX link_event ON link (mailbox, event_id) WHERE event_id IS NOT NULL;

-- One intended change of one calendar (out) or of the planning (in).
CREATE TABLE transaction (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    direction      text NOT NULL CHECK (direction IN ('out', 'in')),
    link_id        bigint REFERENCES link (id),
    appointment_id bigint,
    appointment_guid uuid,
    resource_no    text,
    mailbox        text,
    profile        text,
    action         text NOT NULL CHECK (action IN ('create', 'update', 'delete', 'none')),
    status         text NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed', 'skipped')),
    code           text,
    reason         text,
    notes          text[] NOT NULL DEFAULT '{}',
    source         text NOT NULL DEFAULT 'service' CHECK (source IN ('service', 'website', 'timer')),
    cause          text,
    want_seq       bigint,
    epoch          int,
    version        bigint,
    superseded_by  bigint,
    changes        jsonb,
    changed_at     timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz,
    archived_at    timestamptz
);
CREATE INDEX transaction_link ON transaction (link_id, id);
CREATE INDEX transaction_appointment ON transaction (appointment_id, id);
CREATE INDEX transaction_open ON transaction (link_id) WHERE status = 'pending';
CREATE INDEX transaction_failed ON transaction (id) WHERE status = 'failed' AND archived_at IS NULL;
CREATE INDEX transaction_created ON transaction (created_at);

-- One call made for a transaction: committed before the call, closed after it.
CREATE TABLE attempt (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    link_id        bigint NOT NULL REFERENCES link (id),
    transaction_id bigint REFERENCES transaction (id),
    operation      text NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
    event_id       text COLLATE "C",
    sent           jsonb,
    transaction_key uuid,
    want_seq       bigint NOT NULL,
    lease_token    uuid NOT NULL,
    outcome        text CHECK (outcome IN ('ok', 'failed', 'unknown')),
    code           text,
    status         int,
    reason         text,
    request_id     text,
    opened_at      timestamptz NOT NULL DEFAULT now(),
    settled_after  timestamptz NOT NULL,
    closed_at      timestamptz
);
CREATE INDEX attempt_link ON attempt (link_id, id);
CREATE UNIQUE INDEX attempt_open ON attempt (link_id) WHERE outcome IS NULL OR outcome = 'unknown';

-- Event ids that a call of ours once answered, though nobody waited for the answer any more.
CREATE TABLE once_ours (
    mailbox    text NOT NULL,
    event_id   text COLLATE "C" NOT NULL,
    link_id    bigint NOT NULL REFERENCES link (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (mailbox, event_id)
);

-- Events that carry our property, found by a listing, that no link knows: what a lost state database left behind.
CREATE TABLE stray (
    mailbox          text NOT NULL,
    event_id         text COLLATE "C" NOT NULL,
    appointment_guid uuid NOT NULL,
    resource_no      text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (mailbox, event_id)
);
CREATE INDEX stray_appointment ON stray (appointment_guid);

-- A note that an event of a mailbox must be looked at.
CREATE TABLE look (
    mailbox    text NOT NULL,
    event_id   text COLLATE "C" NOT NULL,
    deleted    boolean NOT NULL DEFAULT false,
    reason     text NOT NULL,
    due_at     timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (mailbox, event_id)
);
CREATE INDEX look_due ON look (due_at);

-- What administrators did.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    who        text NOT NULL,
    what       text NOT NULL,
    subject    text NOT NULL,
    details    jsonb NOT NULL DEFAULT '{}'
);

-- Numbers of another state database, which a running service may still hold, never mean a row of this one.
SELECT setval(pg_get_serial_sequence('link', 'id'), (extract(epoch FROM now()) * 1000000)::bigint),
       setval(pg_get_serial_sequence('attempt', 'id'), (extract(epoch FROM now()) * 1000000)::bigint),
       setval(pg_get_serial_sequence('settings_generation', 'generation'),
              extract(epoch FROM now() - timestamptz '2020-01-01 00:00Z')::bigint);
