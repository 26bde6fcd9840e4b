-- Certified hours
-- One row an unbroken span of certified hours, whatever the period, the latest first; the end is not included. What
-- is certified passed its checks and was published whole.
SELECT
    window_start AS certified_from,
    window_end AS certified_up_to,
    hours
FROM sparkify.certified_windows
WHERE status = 'certified'
ORDER BY certified_from DESC
LIMIT {{ row_limit }};
