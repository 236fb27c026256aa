use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// Notes every page commit in the database itself, whatever becomes of the copies.
pub struct Recorder {
    pub pool: PgPool,
}

/// What the notes say.
#[derive(Debug, Default)]
pub struct Commits {
    pub count: u64,
    /// Holders of leases that stored pages, all servers together.
    pub epochs: u64,
    /// Pairs of commits of one MDM server that overlapped in time.
    pub overlaps: u64,
    /// Commits under an older epoch than one before.
    pub backwards: u64,
    /// The shortest time from the end of a commit to the begin of the next by another holder.
    pub smallest_gap_ms: Option<f64>,
    pub broken: Vec<String>,
}

impl Recorder {
    /// Puts the trigger into the database.
    pub async fn install(url: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(2).connect(url).await?;
        // The note is part of the transaction: it is there when the page is. Its begin is that of the transaction, its
        // end the moment of the trigger, after which nothing but the commit can wait for another.
        sqlx::raw_sql(
            "-- install_recorder
             CREATE TABLE soak_commits (
                 id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, server_id bigint NOT NULL, epoch bigint NOT NULL,
                 pid integer NOT NULL, txid bigint NOT NULL, began timestamptz NOT NULL, written timestamptz NOT NULL);
             CREATE FUNCTION soak_record() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 INSERT INTO soak_commits (server_id, epoch, pid, txid, began, written)
                 VALUES (NEW.id, NEW.lease_epoch, pg_backend_pid(), txid_current(), transaction_timestamp(),
                         clock_timestamp());
                 RETURN NULL;
             END $$;
             CREATE TRIGGER soak_record AFTER UPDATE ON mdm_servers FOR EACH ROW
             WHEN (OLD.delta_cursor IS DISTINCT FROM NEW.delta_cursor
                   OR OLD.fetch_cursor IS DISTINCT FROM NEW.fetch_cursor)
             EXECUTE FUNCTION soak_record();",
        )
        .execute(&pool)
        .await?;
        Ok(Self { pool })
    }

    /// Page commits so far.
    pub async fn commits(&self) -> anyhow::Result<i64> {
        let count = sqlx::query_scalar("-- commits\nSELECT count(*) FROM soak_commits");
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Cuts one of `share` of the copies' connections.
    pub async fn cut(&self, share: usize) -> anyhow::Result<()> {
        sqlx::query(
            "-- cut_connections
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'adelie' AND pid % $1 = 0",
        )
        .bind(i32::try_from(share)?)
        .fetch_all(&self.pool)
        .await?;
        Ok(())
    }

    /// Looks for commits of one MDM server that overlapped, and for epochs that went down.
    pub async fn check(&self) -> anyhow::Result<Commits> {
        let (count, epochs): (i64, i64) = sqlx::query_as(
            "-- count_commits
             SELECT count(*), count(DISTINCT (server_id, epoch)) FROM soak_commits",
        )
        .fetch_one(&self.pool)
        .await?;
        // One transaction may touch the row twice; its notes are one commit. The table that is joined has the end of
        // the latest of all commits that began before, so that not only neighbours are compared.
        let pairs: Vec<(i64, i64, i64, bool, bool, String)> = sqlx::query_as(
            "-- check_commits
             WITH once AS (
                 SELECT server_id, txid, max(epoch) AS epoch, min(began) AS began, max(written) AS written
                 FROM soak_commits GROUP BY server_id, txid),
             lined AS (
                 SELECT *, max(written) OVER earlier AS before_written, max(epoch) OVER earlier AS before_epoch
                 FROM once
                 WINDOW earlier AS (PARTITION BY server_id ORDER BY began, written
                                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
             SELECT server_id, before_epoch, epoch, began < before_written, epoch < before_epoch,
                    CAST(began AS text) || ' .. ' || CAST(written AS text)
             FROM lined WHERE began < before_written OR epoch < before_epoch ORDER BY server_id, began LIMIT 1000",
        )
        .fetch_all(&self.pool)
        .await?;
        let smallest_gap_ms: Option<f64> = sqlx::query_scalar(
            "-- smallest_gap
             SELECT CAST(min(1000 * extract(epoch FROM began - before_written)) AS double precision)
             FROM (SELECT epoch, began, lag(epoch) OVER line AS before_epoch, lag(written) OVER line AS before_written
                   FROM soak_commits WINDOW line AS (PARTITION BY server_id ORDER BY began, written)) AS lined
             WHERE epoch <> before_epoch",
        )
        .fetch_one(&self.pool)
        .await?;
        let mut commits = Commits {
            count: count.unsigned_abs(),
            epochs: epochs.unsigned_abs(),
            smallest_gap_ms,
            ..Commits::default()
        };
        for (server, before, epoch, overlaps, backwards, when) in pairs {
            commits.overlaps += u64::from(overlaps);
            commits.backwards += u64::from(backwards);
            commits.broken.push(format!(
                "MDM server {server}: the commit of epoch {epoch} ({when}) {} one of epoch {before}",
                if overlaps { "overlaps" } else { "came after" }
            ));
        }
        if commits.count == 0 {
            commits.broken.push("no page was stored at all".to_owned());
        }
        Ok(commits)
    }
}
