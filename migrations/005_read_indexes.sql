-- What other services write is looked up by its time every two seconds. Without these indexes each look is a
-- scan of the site's table: the service is as right, and the server works harder. Each is added only when no
-- index starts with that column. This file alone changes tables that other services own, and only by an
-- index: an administrator who would rather not may leave it out.

SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'user_saved_events'
       AND COLUMN_NAME = 'saved_at' AND SEQ_IN_INDEX = 1) = 0,
    'ALTER TABLE user_saved_events ADD KEY user_saved_events_saved (saved_at)',
    'DO 0');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;

SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'user_hidden_events'
       AND COLUMN_NAME = 'hidden_at' AND SEQ_IN_INDEX = 1) = 0,
    'ALTER TABLE user_hidden_events ADD KEY user_hidden_events_hidden (hidden_at)',
    'DO 0');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;

SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'events'
       AND COLUMN_NAME = 'updated_at' AND SEQ_IN_INDEX = 1) = 0,
    'ALTER TABLE events ADD KEY events_updated (updated_at)',
    'DO 0');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;
