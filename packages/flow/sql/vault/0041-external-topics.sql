-- Messages wait per topic: one that nobody reads holds up no other. Routes are the cluster's configuration, not the vault's.
CREATE INDEX external_outbox_topic ON external_outbox (topic, id);
DROP TABLE external_route;
