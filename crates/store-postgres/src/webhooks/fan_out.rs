//! Which events go to which endpoints: parts of statements.

/// Whether one of the patterns in the array `$patterns` matches the type of the event `e`. In a pattern only `*` is
/// special.
macro_rules! kind_matches {
    ($patterns:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM UNNEST(",
            $patterns,
            r") AS p (pattern) WHERE e.kind LIKE
                 replace(replace(replace(replace(p.pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'))"
        )
    };
}
pub(crate) use kind_matches;

/// Whether the endpoint `w` wants the event `e`, whose `about` is the endpoint that it is about. Pages are for those
/// with the format of nanodep, and they want nothing else; what happens to an endpoint is not told to itself; a test
/// is for the one that is tried.
macro_rules! wants {
    () => {
        concat!(
            "w.state <> 'removed' AND (w.format = 'nanodep') = (e.kind = 'sync.page') AND e.kind <> 'webhook.test' AND ",
            $crate::webhooks::fan_out::kind_matches!("w.events"),
            " AND (e.server_id IS NULL OR w.servers = '{}' OR e.server_id = ANY (w.servers))
             AND e.about IS DISTINCT FROM w.id"
        )
    };
}
pub(crate) use wants;

/// What an endpoint has of an event: one delivery.
macro_rules! add_deliveries {
    () => {
        "INSERT INTO deliveries (webhook_id, event_id, at, server_id, serial, ordered, state, due_at)
         SELECT w.id, e.id, e.at, e.server_id, e.serial, w.ordered, 'pending', "
    };
}
pub(crate) use add_deliveries;

/// The endpoint that the event in this row is about.
macro_rules! about {
    () => {
        "CASE WHEN kind LIKE 'webhook.%' THEN (data ->> 'webhook')::bigint END AS about"
    };
}
pub(crate) use about;

/// Tells those who wait for deliveries, if `$some` has rows. The number of the table tells schemas of one database
/// apart.
macro_rules! ring {
    ($some:literal) => {
        concat!(
            "SELECT pg_notify('adelie_deliveries_' || 'deliveries'::regclass::oid, '') FROM (SELECT 1 FROM ",
            $some,
            " LIMIT 1) AS any_of_them"
        )
    };
}
pub(crate) use ring;
