-- A team's configuration, one immutable row a version; the newest is in force.
CREATE TABLE team_versions (
  team TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  -- The team's entry of headwater.json, normalised, secrets replaced by {"sealed": "<fingerprint>"}.
  config TEXT NOT NULL,
  -- The compiled TeamSnapshot.
  snapshot TEXT NOT NULL,
  PRIMARY KEY (team, version)
);

CREATE TABLE teams (
  team TEXT PRIMARY KEY,
  version INTEGER NOT NULL
);

CREATE TABLE tokens (
  token TEXT PRIMARY KEY,
  team TEXT NOT NULL
);

-- Opened in deliver only.
CREATE TABLE secrets (
  team TEXT NOT NULL,
  destination TEXT NOT NULL,
  field TEXT NOT NULL,
  sealed TEXT NOT NULL,
  PRIMARY KEY (team, destination, field)
);

-- Which objects exist, so that a sweep can wake them and the API can add up their books.
CREATE TABLE lanes (
  lane TEXT PRIMARY KEY,
  team TEXT NOT NULL
);

CREATE TABLE outboxes (
  team TEXT NOT NULL,
  destination TEXT NOT NULL,
  PRIMARY KEY (team, destination)
);
