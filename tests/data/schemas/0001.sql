-- The schema of revision 0001, as released programs have made it.
PRAGMA journal_mode=WAL;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	data BLOB NOT NULL, 
	stored BLOB, 
	PRIMARY KEY (seq)
);
CREATE TABLE graph_versions (
	graph_id VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	definition BLOB NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (graph_id, version), 
	FOREIGN KEY(graph_id) REFERENCES graphs (id)
);
CREATE TABLE graphs (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	description TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	node_count INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	deleted_at BIGINT, 
	PRIMARY KEY (id)
);
CREATE TABLE runs (
	id VARCHAR(64) NOT NULL, 
	graph_id VARCHAR(64) NOT NULL, 
	graph_version INTEGER NOT NULL, 
	graph_name VARCHAR(200) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	accepted_at BIGINT NOT NULL, 
	started_at BIGINT, 
	completed_at BIGINT, 
	error_message TEXT, 
	step_count INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE stored_values (
	hash VARCHAR(64) NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (hash)
);
CREATE INDEX runs_by_time ON runs (accepted_at);
CREATE INDEX runs_by_graph ON runs (graph_id, accepted_at);
CREATE INDEX runs_by_status ON runs (status, accepted_at);
CREATE INDEX events_by_run ON events (run_id, seq);
