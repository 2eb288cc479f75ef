-- Answers that are kept for calls that are sent again are sealed from here on; those of before cannot be opened.

DELETE FROM repeats;
