-- Readers see the published schema, and nothing of staging. ALL TABLES includes the views.
GRANT USAGE ON SCHEMA sparkify TO {{ readers }};
GRANT SELECT ON ALL TABLES IN SCHEMA sparkify TO {{ readers }};
-- Of a rejected row they see where it is and why, but not its text (raw_line), which may be personal.
REVOKE SELECT ON sparkify.rejected_rows FROM {{ readers }};
GRANT SELECT (
    run_id, window_start, window_end, source, file_name, line_number, column_name, error_code, reason, rejected_at,
    etag, hour_start, batch
) ON sparkify.rejected_rows TO {{ readers }};
