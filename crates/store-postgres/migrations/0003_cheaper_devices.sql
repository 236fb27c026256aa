-- Both are written with every device of an import, and cost a quarter of its time.
-- A device is written by whoever holds the lease of its MDM server, whose row it has locked: it is there. The key was
-- looked at for each device anew.
ALTER TABLE devices DROP CONSTRAINT devices_server_id_fkey;
-- Writing it in Apple's order of serial numbers costs more than looking a device up at every MDM server in turn.
DROP INDEX devices_by_serial;
