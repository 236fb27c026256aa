-- What people decide (profiles, rules, defaults, settings) has one version, which grows with every change. One row.
CREATE TABLE configuration (
    id INTEGER PRIMARY KEY CONSTRAINT configuration_has_one_row CHECK (id = 1),
    version INTEGER NOT NULL
);
INSERT INTO configuration (id, version) VALUES (1, 1);

-- Who has changed what, for people.
CREATE TABLE configuration_changes (
    version INTEGER PRIMARY KEY, -- The version that it led to.
    at INTEGER NOT NULL,
    "by" TEXT NOT NULL,
    changes TEXT NOT NULL CONSTRAINT configuration_changes_array CHECK (json_type(changes) = 'array') -- JSON: a line for each change.
);

-- Profiles: from now on devices get the revision in force, and some of them one that is rolled out step by step.
ALTER TABLE profiles ADD COLUMN in_force_id INTEGER REFERENCES profile_revisions (id); -- Of a removed profile the last one.
ALTER TABLE profiles ADD COLUMN staged_id INTEGER REFERENCES profile_revisions (id); -- NULL when none is rolled out.
ALTER TABLE profiles ADD COLUMN staged_percent INTEGER -- So many percent of the devices get the staged revision.
    CONSTRAINT profiles_staged_share CHECK (staged_percent BETWEEN 1 AND 99)
    CONSTRAINT profiles_staged_whole CHECK ((staged_id IS NULL) = (staged_percent IS NULL));
ALTER TABLE profiles ADD COLUMN staged_paused INTEGER NOT NULL DEFAULT 0 -- No further device gets it for now.
    CONSTRAINT profiles_staged_paused_boolean CHECK (staged_paused IN (0, 1));
ALTER TABLE profiles ADD COLUMN removed_at INTEGER; -- A profile of the same name goes on from what was removed.
UPDATE profiles SET in_force_id =
    (SELECT r.id FROM profile_revisions r WHERE r.profile_id = profiles.id ORDER BY r.number DESC LIMIT 1);

ALTER TABLE profile_revisions ADD COLUMN document TEXT -- JSON: the profile in our own form, without secrets.
    CONSTRAINT profile_revisions_document_object CHECK (json_type(document) = 'object');
ALTER TABLE profile_revisions ADD COLUMN document_hash TEXT -- Hash of the document, hex.
    CONSTRAINT profile_revisions_document_whole CHECK ((document IS NULL) = (document_hash IS NULL));
ALTER TABLE profile_revisions ADD COLUMN secrets BLOB; -- Passwords that belong to it, sealed together.
ALTER TABLE profile_revisions ADD COLUMN secrets_id BLOB -- A UUID; the seal of secrets is bound to it.
    CONSTRAINT profile_revisions_secrets_whole CHECK ((secrets IS NULL) = (secrets_id IS NULL));
ALTER TABLE profile_revisions ADD COLUMN author TEXT NOT NULL DEFAULT ''; -- Empty when it is not known.
ALTER TABLE profile_revisions ADD COLUMN note TEXT NOT NULL DEFAULT ''; -- What its author says about it.
ALTER TABLE profile_revisions ADD COLUMN in_force_at INTEGER; -- When it was put in force; NULL when it never was.
UPDATE profile_revisions SET in_force_at = created_at WHERE id IN (SELECT in_force_id FROM profiles);
CREATE INDEX profile_revisions_by_content ON profile_revisions (content_hash);
CREATE INDEX server_defaults_by_profile ON server_defaults (profile_id);

-- Rules, of which the first that matches a device decides. Numbers are never used twice, because devices are stamped with
-- them.
CREATE TABLE rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    place INTEGER NOT NULL, -- Their order. Not unique, because rules are moved one by one.
    name TEXT NOT NULL CONSTRAINT rules_name_unique UNIQUE,
    server_id INTEGER REFERENCES mdm_servers (id), -- The MDM server that it is limited to; NULL is all.
    conditions TEXT NOT NULL CONSTRAINT rules_conditions_array CHECK (json_type(conditions) = 'array'), -- JSON: texts that must all hold.
    profile_id INTEGER NOT NULL REFERENCES profiles (id) -- What it gives.
);

ALTER TABLE devices ADD COLUMN tags TEXT; -- A JSON array of our tags; NULL when it has none.
-- The rule that gives it the wanted revision; NULL when a default does, or nothing. No foreign key, as of the revision;
-- and the rule may be gone until the device is decided anew.
ALTER TABLE devices ADD COLUMN rule_id INTEGER;

ALTER TABLE published_profiles ADD COLUMN differs TEXT; -- What Apple shows otherwise than was sent, for people.

-- Changes of many devices at once, with how they are undone.
CREATE TABLE bulk_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    "by" TEXT NOT NULL,
    what TEXT NOT NULL, -- For people.
    undo TEXT NOT NULL CONSTRAINT bulk_changes_undo_array CHECK (json_type(undo) = 'array'), -- JSON.
    undone_at INTEGER, -- NULL until it was undone.
    undone_by TEXT
);
