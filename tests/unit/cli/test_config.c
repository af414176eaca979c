// SPDX-License-Identifier: Apache-2.0
//
// The configuration file: what is read of it, what is refused, and that a change leaves the rest.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli_config.h"

static int read_text(struct arena *arena, const char *text, struct cli_config *config,
                     struct error *err)
{
    return cli_config_read_text(arena, text, strlen(text), config, err);
}

static void a_file_is_read(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct cli_config config = {0};
    struct error err;
    assert_int_equal(
        read_text(arena,
                  "# mine\nplugins = [ ]\n[core] # of all\noutput='json'\n\n"
                  "[master]\n  address = \"a:1,b:2\" # two\n  principal = \"p\\\"q\"\r\n"
                  "secret=\"s\"\n[agent]\nssl = false\ntimeout = 7",
                  &config, &err),
        0);
    assert_string_equal(config.master, "a:1,b:2");
    assert_string_equal(config.principal, "p\"q");
    assert_string_equal(config.secret, "s");
    assert_true(config.is_json);
    assert_int_equal(config.agent_timeout_s, 7);
    assert_int_equal(read_text(arena, "", &config, &err), 0);
    assert_null(config.master);
    assert_false(config.is_json);
    assert_int_equal(config.agent_timeout_s, 5);
    assert_int_equal(read_text(arena,
                               "[master.zookeeper]\naddresses = [\n  \"a:2181\", # one\n "
                               "'b:2181',\n]\npath = \"/mesos\"\n",
                               &config, &err),
                     0);
    assert_string_equal(config.master, "zk://a:2181,b:2181/mesos");
    // Keys may have dots of their own.
    assert_int_equal(read_text(arena, "master . address = 'x'", &config, &err), 0);
    assert_string_equal(config.master, "x");
}

static void bad_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"x", "line 1: expected '=' behind a name"},
        {"\n\n= 1", "line 3: a name is missing"},
        {"[master", "line 1: expected ']' behind the name of a table"},
        {"[[master]]", "line 1: lists of tables are not supported"},
        {"[master] x", "line 1: something stands behind what should end the line"},
        {"[master]\naddress = \"a", "line 2: a string does not end on its line"},
        {"[master]\naddress = 'a\n'", "line 2: a string does not end on its line"},
        {"[master]\naddress = \"\\u0041\"", "line 2: an unknown escape in a string"},
        {"[master]\naddress = {}",
         "line 2: expected a string in quotes, a whole number, true, false or a list"},
        {"[master]\naddress = 1.5", "line 2: something stands behind what should end the line"},
        {"[master]\naddress = 5", "line 2: 'master.address' must be a string in quotes"},
        {"[master]\naddress = 'a'\naddress = 'b'", "line 3: 'master.address' is set a second time"},
        {"[master]\nadress = 'a'", "line 2: there is no setting 'master.adress'"},
        {"[master.zookeeper]\naddresses = [1]", "line 2: a list may hold strings only"},
        {"[master.zookeeper]\naddresses = ['a' 'b']", "line 2: expected ',' or ']' in a list"},
        {"[master.zookeeper]\naddresses = ['a'", "line 2: expected ',' or ']' in a list"},
        {"[master.zookeeper]\naddresses = ['a']",
         "master.zookeeper needs 'addresses', a list, and 'path', a string"},
        {"[master.zookeeper]\naddresses = ['a']\npath = '/'",
         "master.zookeeper.path must begin with '/' and go on"},
        {"[master]\naddress='a'\n[master.zookeeper]\npath='/m'",
         "master.address and master.zookeeper are set both: which one counts?"},
        {"core.output = 'xml'", "core.output is 'table' or 'json', not 'xml'"},
        {"agent.timeout = 0", "agent.timeout must be from 1 to 3600 seconds"},
        {"agent.ssl = true", "agent.ssl: TLS is not supported yet"},
        {"plugins = ['/x']", "line 1: plugins are not supported"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        struct cli_config config = {0};
        struct error err = {0};
        assert_int_equal(read_text(arena, cases[i].text, &config, &err), -EINVAL);
        assert_string_equal(err.text, cases[i].error);
    }
}

static void changes(const char *before, const char *key, const char *value, const char *after)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf out = BUF_INIT;
    struct toml toml;
    assert_int_equal(toml_parse(arena, before, strlen(before), &toml, NULL), 0);
    toml_put_changed(&toml, before, strlen(before), key, value, &out);
    assert_string_equal(out.size > 0 ? out.data : "", after);
    assert_int_equal(toml_parse(arena, out.size > 0 ? out.data : "", out.size, &toml, NULL), 0);
}

static void changes_leave_the_rest(void **state)
{
    (void)state;
    changes("", "a.b", "1", "[a]\nb = 1\n");
    changes("# x", "a.b", "1", "# x\n\n[a]\nb = 1\n");
    changes("[a]\nc = 2 # two\n# end\n[d]\n", "a.b", "1", "[a]\nc = 2 # two\nb = 1\n# end\n[d]\n");
    changes("[a]\n b = 2 # two\n", "a.b", "'x'", "[a]\n b = 'x' # two\n");
    changes("[a]\n b = 2 # two\nc = 1\n", "a.b", NULL, "[a]\nc = 1\n");
    changes("[a]\nb = [\n'x',\n]\nc = 1", "a.b", NULL, "[a]\nc = 1");
    changes("[a]\nc = 1", "a.b", NULL, "[a]\nc = 1");
    changes("x = 1", "x", NULL, "");
    AUTO_BUF struct buf out = BUF_INIT;
    toml_put_string("a\"b\\c\td\n", &out);
    assert_string_equal(out.data, "\"a\\\"b\\\\c\\td\\n\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(changes_leave_the_rest),
    };
    return cmocka_run_group_tests_name("cli-config", tests, NULL, NULL);
}
