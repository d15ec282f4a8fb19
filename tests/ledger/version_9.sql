BEGIN TRANSACTION;
CREATE TABLE apollo_companies (
	connection TEXT NOT NULL, 
	match_hash TEXT NOT NULL, 
	apollo_id TEXT NOT NULL, 
	changed_at DATETIME NOT NULL, 
	PRIMARY KEY (connection, match_hash)
)
 WITHOUT ROWID

;
INSERT INTO "apollo_companies" VALUES('5f5e100c0d4ae7000181a2b3','sha256:1','6095a710bd01d100a506d4ae','2026-11-29 16:20:03.598413');
CREATE TABLE apollo_ledger_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "apollo_ledger_version" VALUES(9);
CREATE TABLE apollo_links (
	stream TEXT NOT NULL, 
	source_key TEXT NOT NULL, 
	connection TEXT NOT NULL, 
	object TEXT NOT NULL, 
	source TEXT DEFAULT '' NOT NULL, 
	apollo_id TEXT, 
	payload_hash TEXT, 
	status TEXT NOT NULL, 
	first_synced_at DATETIME, 
	last_synced_at DATETIME, 
	error TEXT, 
	run_id TEXT, 
	match_hash TEXT, 
	apollo_updated_at TEXT, 
	changed_at DATETIME, 
	row_hash TEXT, 
	single_hashes TEXT, 
	PRIMARY KEY (stream, source_key, connection, object, source)
)
 WITHOUT ROWID

;
INSERT INTO "apollo_links" VALUES('contacts','1','5f5e100c0d4ae7000181a2b3','account','','6095a710bd01d100a506d4ae','00000000000000000000000000000000','unchanged','2026-11-01 00:00:00.000000','2026-11-03 00:00:00.000000',NULL,'0a1b2c3d4e5f','sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d','2026-11-01T12:00:00.123Z','2026-11-29 16:20:03.548464',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','1','5f5e100c0d4ae7000181a2b3','contact','tap-crm','6095a710bd01d100a506d4ae','00000000000000000000000000000000','unchanged','2026-11-01 00:00:00.000000','2026-11-03 00:00:00.000000',NULL,'0a1b2c3d4e5f','sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d','2026-11-01T12:00:00.123Z','2026-11-29 16:20:03.522133',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','8','5f5e100c0d4ae7000181a2b3','account','','6095a710bd01d100a506d4ae',NULL,'pending',NULL,NULL,NULL,'0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.540390',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','8','5f5e100c0d4ae7000181a2b3','contact','tap-crm','6095a710bd01d100a506d4ae',NULL,'pending',NULL,NULL,NULL,'0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.488611',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','9','5f5e100c0d4ae7000181a2b3','account','',NULL,NULL,'pending',NULL,NULL,NULL,'0a1b2c3d4e5f','sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',NULL,'2026-11-29 16:20:03.540390',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','9','5f5e100c0d4ae7000181a2b3','contact','tap-crm',NULL,NULL,'pending',NULL,NULL,NULL,'0a1b2c3d4e5f','sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',NULL,'2026-11-29 16:20:03.488611',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','e','5f5e100c0d4ae7000181a2b3','account','',NULL,'x:2026-11-01','error',NULL,NULL,'no','0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.543438',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','e','5f5e100c0d4ae7000181a2b3','contact','tap-crm',NULL,'x:2026-11-01','error',NULL,NULL,'no','0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.496473',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','g','5f5e100c0d4ae7000181a2b3','account','','6095a710bd01d100a506d4ae','deleted:list','gone','2026-11-01 00:00:00.000000','2026-11-01 00:00:00.000000',NULL,'0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.543438',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','g','5f5e100c0d4ae7000181a2b3','contact','tap-crm','6095a710bd01d100a506d4ae','deleted:list','gone','2026-11-01 00:00:00.000000','2026-11-01 00:00:00.000000',NULL,'0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.496473',NULL,NULL);
INSERT INTO "apollo_links" VALUES('contacts','sha256:a6aef3a5b0b7d07caa264745d57c30d117a6947537ff3ec7088f670679928d13','5f5e100c0d4ae7000181a2b3','account','','ea4d605a001d10db017a5906','11111111111111111111111111111111','updated','2026-11-01 00:00:00.000000','2026-11-01 00:00:00.000000',NULL,'0a1b2c3d4e5f',NULL,'2026-11-01T12:00:00Z','2026-11-29 16:20:03.543438','sha256:454349e422f05297191ead13e21d3db520e5abef52055e4964b82fb213f593a1',NULL);
INSERT INTO "apollo_links" VALUES('contacts','sha256:a6aef3a5b0b7d07caa264745d57c30d117a6947537ff3ec7088f670679928d13','5f5e100c0d4ae7000181a2b3','contact','tap-crm','ea4d605a001d10db017a5906','11111111111111111111111111111111','updated','2026-11-01 00:00:00.000000','2026-11-01 00:00:00.000000',NULL,'0a1b2c3d4e5f',NULL,'2026-11-01T12:00:00Z','2026-11-29 16:20:03.496473','sha256:454349e422f05297191ead13e21d3db520e5abef52055e4964b82fb213f593a1',NULL);
INSERT INTO "apollo_links" VALUES('x','1','unknown','contact','','6095a710bd01d100a506d4ae','00000000000000000000000000000000','unchanged','2026-11-01 00:00:00.000000','2026-11-03 00:00:00.000000',NULL,'0a1b2c3d4e5f','sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d','2026-11-01T12:00:00.123Z','2026-11-29 16:20:03.583112',NULL,NULL);
INSERT INTO "apollo_links" VALUES('x','8','unknown','contact','','6095a710bd01d100a506d4ae',NULL,'pending',NULL,NULL,NULL,'0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.575321',NULL,NULL);
INSERT INTO "apollo_links" VALUES('x','9','unknown','contact','',NULL,NULL,'pending',NULL,NULL,NULL,'0a1b2c3d4e5f','sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',NULL,'2026-11-29 16:20:03.575321',NULL,NULL);
INSERT INTO "apollo_links" VALUES('x','e','unknown','contact','',NULL,'x:2026-11-01','error',NULL,NULL,'no','0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.576221',NULL,NULL);
INSERT INTO "apollo_links" VALUES('x','g','unknown','contact','','6095a710bd01d100a506d4ae','deleted:list','gone','2026-11-01 00:00:00.000000','2026-11-01 00:00:00.000000',NULL,'0a1b2c3d4e5f',NULL,NULL,'2026-11-29 16:20:03.576221',NULL,NULL);
INSERT INTO "apollo_links" VALUES('x','sha256:a6aef3a5b0b7d07caa264745d57c30d117a6947537ff3ec7088f670679928d13','unknown','contact','','ea4d605a001d10db017a5906','11111111111111111111111111111111','updated','2026-11-01 00:00:00.000000','2026-11-01 00:00:00.000000',NULL,'0a1b2c3d4e5f',NULL,'2026-11-01T12:00:00Z','2026-11-29 16:20:03.576221','sha256:454349e422f05297191ead13e21d3db520e5abef52055e4964b82fb213f593a1',NULL);
CREATE TABLE apollo_locks (
	connection TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	token TEXT NOT NULL, 
	host TEXT NOT NULL, 
	space TEXT, 
	pid INTEGER NOT NULL, 
	pid_started TEXT, 
	acquired_at DATETIME NOT NULL, 
	heartbeat_at DATETIME NOT NULL, 
	PRIMARY KEY (connection, stream)
);
CREATE TABLE apollo_pending_fields (
	connection TEXT NOT NULL, 
	object TEXT NOT NULL, 
	apollo_id TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	source TEXT NOT NULL, 
	source_key TEXT NOT NULL, 
	body JSON NOT NULL, 
	guarded JSON NOT NULL, 
	digests TEXT, 
	since DATETIME NOT NULL, 
	PRIMARY KEY (connection, object, apollo_id)
);
INSERT INTO "apollo_pending_fields" VALUES('5f5e100c0d4ae7000181a2b3','contact','6095a710bd01d100a506d4ae','contacts','tap-crm','1','{"mobile": "1"}','["mobile"]','mobile=d','2026-11-29 16:20:03.525318');
INSERT INTO "apollo_pending_fields" VALUES('5f5e100c0d4ae7000181a2b3','account','6095a710bd01d100a506d4ae','contacts','','1','{"mobile": "1"}','["mobile"]','mobile=d','2026-11-29 16:20:03.573112');
INSERT INTO "apollo_pending_fields" VALUES('unknown','contact','6095a710bd01d100a506d4ae','x','','1','{"mobile": "1"}','["mobile"]','mobile=d','2026-11-29 16:20:03.596429');
CREATE TABLE apollo_routes (
	connection TEXT NOT NULL, 
	object TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	changed_at DATETIME NOT NULL, 
	PRIMARY KEY (connection, object)
);
INSERT INTO "apollo_routes" VALUES('5f5e100c0d4ae7000181a2b3','account','PATCH','2026-11-29 16:20:03.627790');
CREATE TABLE apollo_runs (
	run_id TEXT NOT NULL, 
	connection TEXT NOT NULL, 
	streams JSON NOT NULL, 
	mode TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	counts JSON, 
	exit_code INTEGER, 
	reason TEXT, 
	PRIMARY KEY (run_id)
);
INSERT INTO "apollo_runs" VALUES('0a1b2c3d4e5f','5f5e100c0d4ae7000181a2b3','["contacts"]','upsert','2026-11-01 00:00:00.000000','2026-11-29 16:20:03.655671','{"created": 1}',0,NULL);
CREATE TABLE apollo_walks (
	connection TEXT NOT NULL, 
	next_page INTEGER NOT NULL, 
	newest TEXT, 
	reached TEXT, 
	changed_at DATETIME NOT NULL, 
	PRIMARY KEY (connection)
);
INSERT INTO "apollo_walks" VALUES('5f5e100c0d4ae7000181a2b3',3,'n','r','2026-11-29 16:20:03.608940');
CREATE TABLE apollo_windows (
	connection TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (connection, endpoint)
);
INSERT INTO "apollo_windows" VALUES('5f5e100c0d4ae7000181a2b3','e',1,'text');
CREATE INDEX apollo_links_by_apollo_id ON apollo_links (apollo_id) WHERE apollo_id IS NOT NULL;
CREATE INDEX apollo_links_by_match ON apollo_links (substr(match_hash, 8, 16)) WHERE apollo_id IS NOT NULL;
CREATE INDEX apollo_companies_by_apollo_id ON apollo_companies (apollo_id);
CREATE INDEX apollo_pending_fields_by_age ON apollo_pending_fields (connection, since, apollo_id);
CREATE INDEX apollo_runs_by_start ON apollo_runs (started_at);
COMMIT;
