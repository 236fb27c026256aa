CREATE TABLE configuration (
    id smallint PRIMARY KEY DEFAULT 1 CONSTRAINT configuration_has_one_row CHECK (id = 1),
    version bigint NOT NULL
);
INSERT INTO configuration (version) VALUES (1);
COMMENT ON TABLE configuration IS 'What people decide (profiles, rules, defaults, settings) has one version, which grows with every change. One row; whoever changes something locks it first.';

CREATE TABLE configuration_changes (
    version bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    "by" text NOT NULL,
    changes jsonb NOT NULL CONSTRAINT configuration_changes_array CHECK (jsonb_typeof(changes) = 'array')
);
COMMENT ON TABLE configuration_changes IS 'Who has changed what, for people.';
COMMENT ON COLUMN configuration_changes.version IS 'The version that it led to.';
COMMENT ON COLUMN configuration_changes.changes IS 'A line for each change.';

ALTER TABLE profiles
    ADD COLUMN in_force_id bigint REFERENCES profile_revisions (id),
    ADD COLUMN staged_id bigint REFERENCES profile_revisions (id),
    ADD COLUMN staged_percent smallint CONSTRAINT profiles_staged_share CHECK (staged_percent BETWEEN 1 AND 99),
    ADD COLUMN staged_paused boolean NOT NULL DEFAULT false,
    ADD COLUMN removed_at timestamptz,
    ADD CONSTRAINT profiles_staged_whole CHECK ((staged_id IS NULL) = (staged_percent IS NULL));
UPDATE profiles p SET in_force_id =
    (SELECT r.id FROM profile_revisions r WHERE r.profile_id = p.id ORDER BY r.number DESC LIMIT 1);
COMMENT ON COLUMN profiles.in_force_id IS 'The revision that devices get; of a removed profile the last one.';
COMMENT ON COLUMN profiles.staged_id IS 'A revision that some devices get already; NULL when none is rolled out.';
COMMENT ON COLUMN profiles.staged_percent IS 'So many percent of the devices get the staged revision.';
COMMENT ON COLUMN profiles.staged_paused IS 'No further device gets the staged revision for now.';
COMMENT ON COLUMN profiles.removed_at IS 'When it was removed. A profile of the same name goes on from what was.';

ALTER TABLE profile_revisions
    ADD COLUMN document jsonb CONSTRAINT profile_revisions_document_object CHECK (jsonb_typeof(document) = 'object'),
    ADD COLUMN document_hash text,
    ADD COLUMN secrets bytea,
    ADD COLUMN secrets_id uuid,
    ADD COLUMN author text NOT NULL DEFAULT '',
    ADD COLUMN note text NOT NULL DEFAULT '',
    ADD CONSTRAINT profile_revisions_document_whole CHECK ((document IS NULL) = (document_hash IS NULL)),
    ADD CONSTRAINT profile_revisions_secrets_whole CHECK ((secrets IS NULL) = (secrets_id IS NULL));
ALTER TABLE profile_revisions ADD COLUMN in_force_at timestamptz;
UPDATE profile_revisions SET in_force_at = created_at WHERE id IN (SELECT in_force_id FROM profiles);
COMMENT ON COLUMN profile_revisions.in_force_at IS 'When it was put in force; NULL when it never was.';
CREATE INDEX profile_revisions_by_content ON profile_revisions (content_hash);
COMMENT ON COLUMN profile_revisions.document IS 'The profile in our own form, without secrets.';
COMMENT ON COLUMN profile_revisions.document_hash IS 'Hash of the document, hex.';
COMMENT ON COLUMN profile_revisions.secrets IS 'Passwords that belong to it, sealed together.';
COMMENT ON COLUMN profile_revisions.secrets_id IS 'The seal of secrets is bound to it.';
COMMENT ON COLUMN profile_revisions.author IS 'Empty when it is not known.';
COMMENT ON COLUMN profile_revisions.note IS 'What its author says about it.';

CREATE INDEX server_defaults_by_profile ON server_defaults (profile_id);
COMMENT ON TABLE server_defaults IS 'Default profiles of MDM servers. Devices get the revision in force, or a staged one.';

CREATE TABLE rules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    place integer NOT NULL,
    name text COLLATE "C" NOT NULL CONSTRAINT rules_name_unique UNIQUE,
    server_id bigint REFERENCES mdm_servers (id),
    conditions jsonb NOT NULL CONSTRAINT rules_conditions_array CHECK (jsonb_typeof(conditions) = 'array'),
    profile_id bigint NOT NULL REFERENCES profiles (id)
);
COMMENT ON TABLE rules IS 'Rules, of which the first that matches a device decides.';
COMMENT ON COLUMN rules.place IS 'Their order. Not unique, because rules are moved one by one.';
COMMENT ON COLUMN rules.server_id IS 'The MDM server that it is limited to; NULL is all.';
COMMENT ON COLUMN rules.conditions IS 'Texts that must all hold.';
COMMENT ON COLUMN rules.profile_id IS 'What it gives.';

ALTER TABLE devices ADD COLUMN tags text[], ADD COLUMN rule_id bigint;
COMMENT ON COLUMN devices.tags IS 'Our tags; NULL when it has none.';
COMMENT ON COLUMN devices.rule_id IS 'The rule that gives it the wanted revision; NULL when a default does, or nothing. No foreign key, as of the revision; and the rule may be gone until the device is decided anew.';
COMMENT ON COLUMN devices.wanted_revision_id IS 'The revision that a rule or a default gives it. No foreign key: it is decided from revisions in the same transaction, and the check would cost every insert.';

ALTER TABLE published_profiles ADD COLUMN differs text;
COMMENT ON COLUMN published_profiles.differs IS 'What Apple shows otherwise than was sent, for people.';

CREATE TABLE bulk_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    "by" text NOT NULL,
    what text NOT NULL,
    undo jsonb NOT NULL CONSTRAINT bulk_changes_undo_array CHECK (jsonb_typeof(undo) = 'array'),
    undone_at timestamptz,
    undone_by text
);
COMMENT ON TABLE bulk_changes IS 'Changes of many devices at once, with how they are undone.';
COMMENT ON COLUMN bulk_changes.what IS 'For people.';
COMMENT ON COLUMN bulk_changes.undone_at IS 'NULL until it was undone.';
