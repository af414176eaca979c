// SPDX-License-Identifier: Apache-2.0
//
// A store in one SQLite file: one table of keys and values, write-ahead log, synced at each commit
// unless the owner says otherwise. The file belongs to one process at a time; a second one is
// refused.
//
// Commits leave the log to us (synchronous=NORMAL: SQLite syncs it only before it is moved to the
// database), and we sync it behind those that are to be durable, with all commits before them. That
// is what synchronous=FULL does, but it can be chosen for each commit without a statement.

#include <errno.h>
#include <sqlite3.h>

#include "base/check.h"
#include "base/mem.h"
#include "store/backend.h"

struct place {
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *put;
    sqlite3_stmt *delete;
    sqlite3_stmt *all;
    bool is_synced; // commits are durable
};

static int code_of(int result)
{
    switch (result) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_CANTOPEN:
        return -ENOENT;
    default:
        return -EIO;
    }
}

static int fail(const struct place *place, int result, const char *what, struct error *err)
{
    return error_set(err, code_of(result & 0xff), "Failed to %s: %s", what,
                     place->db != NULL ? sqlite3_errmsg(place->db) : sqlite3_errstr(result));
}

static int execute(struct place *place, const char *sql, const char *what, struct error *err)
{
    int result = sqlite3_exec(place->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : fail(place, result, what, err);
}

// A statement that gives no rows and takes nothing.
static int run(struct place *place, sqlite3_stmt *statement, const char *what, struct error *err)
{
    int result = sqlite3_step(statement);
    int r = result == SQLITE_DONE ? 0 : fail(place, result, what, err);
    sqlite3_reset(statement);
    return r;
}

static int write_item(struct place *place, const struct store_item *item, struct error *err)
{
    sqlite3_stmt *statement = item->value != NULL ? place->put : place->delete;
    sqlite3_bind_text(statement, 1, item->key, -1, SQLITE_STATIC);
    if (item->value != NULL) {
        sqlite3_bind_blob64(statement, 2, item->value, item->size, SQLITE_STATIC);
    }
    int result = sqlite3_step(statement);
    int r = result == SQLITE_DONE ? 0 : fail(place, result, "write to the store", err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return r;
}

// Makes all that was committed durable.
static int sync_log(struct place *place, struct error *err)
{
    sqlite3_file *log = NULL;
    int result = sqlite3_file_control(place->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (result == SQLITE_OK) {
        CHECK(log != NULL && log->pMethods != NULL); // it is open, as a commit went before
        result = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    }
    return result == SQLITE_OK
               ? 0
               : error_set(err, code_of(result & 0xff), "Failed to commit to the store: %s",
                           sqlite3_errstr(result));
}

static int commit(void *place_, const struct store_batch *batches, size_t count, struct error *err)
{
    struct place *place = place_;
    int r = run(place, place->begin, "begin a transaction of the store", err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        for (size_t k = 0; k < batches[i].count && r == 0; k++) {
            r = write_item(place, &batches[i].items[k], err);
        }
    }
    if (r == 0) {
        r = run(place, place->commit, "commit to the store", err);
    }
    if (r < 0) {
        sqlite3_exec(place->db, "ROLLBACK", NULL, NULL, NULL);
        return r;
    }
    return place->is_synced ? sync_log(place, err) : 0;
}

static int walk(void *place_, void (*report)(void *ctx, const struct store_item *item), void *ctx,
                struct error *err)
{
    struct place *place = place_;
    int result;
    while ((result = sqlite3_step(place->all)) == SQLITE_ROW) {
        const void *value = sqlite3_column_blob(place->all, 1);
        const struct store_item item = {
            .key = (const char *)sqlite3_column_text(place->all, 0),
            .value = value != NULL ? value : "",
            .size = (size_t)sqlite3_column_bytes(place->all, 1),
        };
        report(ctx, &item);
    }
    int r = result == SQLITE_DONE ? 0 : fail(place, result, "read the store", err);
    sqlite3_reset(place->all);
    return r;
}

static void set_synced(void *place_, bool is_synced)
{
    struct place *place = place_;
    place->is_synced = is_synced;
}

static void free_place(void *place_)
{
    struct place *place = place_;
    sqlite3_finalize(place->begin);
    sqlite3_finalize(place->commit);
    sqlite3_finalize(place->put);
    sqlite3_finalize(place->delete);
    sqlite3_finalize(place->all);
    sqlite3_close(place->db);
    mem_free(place);
}

static int prepare(struct place *place, const char *sql, sqlite3_stmt **statement,
                   struct error *err)
{
    int result = sqlite3_prepare_v2(place->db, sql, -1, statement, NULL);
    return result == SQLITE_OK ? 0 : fail(place, result, "prepare the store", err);
}

static int open_place(struct place *place, const char *path, struct error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(path, &place->db, flags, NULL);
    if (result != SQLITE_OK) {
        return fail(place, result, "open the store", err);
    }
    int r = execute(place,
                    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; "
                    "PRAGMA synchronous=NORMAL; "
                    "CREATE TABLE IF NOT EXISTS entries "
                    "(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID; "
                    "BEGIN IMMEDIATE; COMMIT",
                    "set up the store", err);
    if (r == -EBUSY) {
        return error_set(err, r, "Another process has it open");
    }
    if (r == 0) {
        r = prepare(place, "BEGIN IMMEDIATE", &place->begin, err);
    }
    if (r == 0) {
        r = prepare(place, "COMMIT", &place->commit, err);
    }
    if (r == 0) {
        r = prepare(place, "INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)", &place->put,
                    err);
    }
    if (r == 0) {
        r = prepare(place, "DELETE FROM entries WHERE key = ?", &place->delete, err);
    }
    if (r == 0) {
        r = prepare(place, "SELECT key, value FROM entries ORDER BY key", &place->all, err);
    }
    return r;
}

int sqlite_place_open(const char *path, void **ret_place, const struct store_backend **ret_backend,
                      struct error *err)
{
    static const struct store_backend backend = {
        .commit = commit, .walk = walk, .set_synced = set_synced, .free = free_place};
    struct place *place = mem_zalloc(sizeof(*place));
    place->is_synced = true;
    struct error why = {0};
    int r = open_place(place, path, &why);
    if (r < 0) {
        free_place(place);
        return error_set(err, r, "%s: %s", path, why.text);
    }
    *ret_place = place;
    *ret_backend = &backend;
    return 0;
}

int store_sqlite_open(const char *path, struct store **ret_store, struct error *err)
{
    void *place;
    const struct store_backend *backend;
    int r = sqlite_place_open(path, &place, &backend, err);
    if (r == 0)
        *ret_store = store_new(backend, place);
    return r;
}
