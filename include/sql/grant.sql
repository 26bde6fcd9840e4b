-- Readers see the published schema, and nothing of staging. ALL TABLES includes the views.
GRANT USAGE ON SCHEMA sparkify TO {{ readers }};
GRANT SELECT ON ALL TABLES IN SCHEMA sparkify TO {{ readers }};
