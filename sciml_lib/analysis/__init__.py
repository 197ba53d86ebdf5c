"""The numbers of the chapters: functions from runs to data frames that a reader can open, and no sentence."""
