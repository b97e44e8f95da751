#ifndef CSQLITE_SHIM_H
#define CSQLITE_SHIM_H
#include <sqlite3.h>

// sqlite3_db_config has variable arguments, which Swift cannot call.

// Leaves the write-ahead log as it is when the last connection closes.
static inline int kappa_sqlite_leave_wal(sqlite3 *database) {
  return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}
#endif
