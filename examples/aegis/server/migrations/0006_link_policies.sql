UPDATE agents SET owner = 'policy';
CREATE TABLE policies (name text PRIMARY KEY);
ALTER TABLE agents ADD CONSTRAINT agents_policy FOREIGN KEY (owner) REFERENCES policies (name);
