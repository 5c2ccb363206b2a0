-- The schema of revision 0002, as released programs have made it.
PRAGMA journal_mode=WAL;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE cached_results (
	"key" VARCHAR(64) NOT NULL, 
	tool VARCHAR(200) NOT NULL, 
	result BLOB NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE doomed_runs (
	id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
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
CREATE TABLE marks (
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
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
	parent_run_id VARCHAR(64), 
	parent_node_id VARCHAR(200), 
	forked_from VARCHAR(64), 
	idempotency_key VARCHAR(200), 
	durability VARCHAR(16) DEFAULT 'strict' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE stored_values (
	hash VARCHAR(64) NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (hash)
);
CREATE INDEX cached_results_by_time ON cached_results (created_at);
CREATE INDEX events_by_run ON events (run_id, seq);
CREATE INDEX events_with_values ON events (seq) WHERE stored IS NOT NULL;
CREATE INDEX runs_by_graph ON runs (graph_id, accepted_at);
CREATE UNIQUE INDEX runs_by_key ON runs (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_by_origin ON runs (forked_from) WHERE forked_from IS NOT NULL;
CREATE INDEX runs_by_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, accepted_at);
CREATE INDEX runs_by_time ON runs (accepted_at);
INSERT INTO alembic_version VALUES('0002');
