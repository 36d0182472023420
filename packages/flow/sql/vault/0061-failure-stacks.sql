-- Where the code of a flow threw what it failed with: lines of its bundle, for who inspects the flow. Written by the commit that
-- ends it, and by no other.
CREATE TABLE flow_stack (
  flow_id  text PRIMARY KEY,
  stack    text NOT NULL
);
