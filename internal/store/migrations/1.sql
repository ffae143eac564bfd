CREATE TABLE store.store (
  id      integer PRIMARY KEY CHECK (id = 1),
  version integer NOT NULL, -- of these tables
  format  integer NOT NULL, -- of the rows
  own_key bytea   NOT NULL, -- seals the rows, unless storage.pseudonym_key does
  names   bigint  NOT NULL, -- digest of the names of all partitions
  place   text    NOT NULL DEFAULT '' -- tells a database that was restored
);

CREATE TABLE store.replicas (
  owner    text PRIMARY KEY, -- a new one with each start
  expires  timestamptz NOT NULL, -- and with it all leases of the owner
  config   text        NOT NULL, -- tells replicas that are not configured alike
  projects text[]      NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE store.leases (
  project text PRIMARY KEY,
  owner   text   NOT NULL, -- free if there is no such replica
  epoch   bigint NOT NULL  -- grows with every lease of the project
);

CREATE TABLE store.partitions (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project     text   NOT NULL,
  source      text   NOT NULL,
  seal        bytea  NOT NULL, -- tells under which seal the rows are
  digest      bigint NOT NULL, -- of all rows, and of the seal
  epoch       bigint NOT NULL, -- of the lease under which it was claimed last
  claim       bigint NOT NULL, -- random: a commit under an earlier claim is refused
  commits     bigint NOT NULL, -- how many there were
  last_commit bigint NOT NULL, -- random: tells whether a commit was made whose answer got lost
  UNIQUE (project, source)
) WITH (fillfactor = 50);

CREATE TABLE store.rows (
  partition bigint NOT NULL REFERENCES store.partitions,
  name      text   COLLATE "C" NOT NULL CHECK (name <> ''), -- of the partition's table
  key       bytea  NOT NULL CHECK (length(key) > 0),
  value     bytea  NOT NULL,
  digest    bigint NOT NULL,
  PRIMARY KEY (partition, name, key)
) WITH (fillfactor = 85);
