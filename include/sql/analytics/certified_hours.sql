-- Certified hours
-- One row per unbroken span of certified hours, regardless of the period, latest first; the end is exclusive.
-- Certified hours passed their checks and were published completely.
SELECT
    window_start AS certified_from,
    window_end AS certified_up_to,
    hours
FROM sparkify.certified_windows
WHERE status = 'certified'
ORDER BY certified_from DESC
LIMIT {{ row_limit }};
