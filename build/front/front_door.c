/* The front door: what a runtime starts.
 *
 * A small program, so that it is at work at once. It starts the delegate of an interposed call (early.h) and beside it the
 * interpreter, which records the call (supervise.h). A chained call and a plain question become the interpreter, any other
 * command becomes the command line. With an interpreter in this program a task would wait for it: libpython has tens of
 * thousands of addresses that are relocated before `main`.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CANNOT_RUN 127
#define COMMANDS "/eni-ledger-cli" /* entry.py's CLI */

/* Each uses what stands before it. */
#include "parts.h"
#include "json.h"
#include "kept.h"
#include "words.h"
#include "failures.h"
#include "settings.h"
#include "early.h"
#include "supervise.h"

/* Nothing of the CNI in the environment and our own name: a command. */
static int is_command(int argc, char **argv)
{
    for (char **each = environ; *each; each++)
        if (strncmp(*each, "CNI_", 4) == 0)
            return 0;
    return argc > 0 && strcmp(name_of(argv[0]), "eni-ledger") == 0;
}

/* `list` and `who` may be plain questions, which the interpreter answers sooner (cli/quick.py). */
static int is_question(int argc, char **argv)
{
    for (int i = 1; i < argc && i < 4; i++)
        if (strcmp(argv[i], "who") == 0 || strcmp(argv[i], "list") == 0)
            return 1;
    return 0;
}

/* Becomes the command line, which is for what a person waits for. Comes back when it cannot. */
static void exec_commands(char **argv)
{
    char path[PATH_MAX], *typed = argv[0];
    if (!path_beside(COMMANDS, path))
        return;
    argv[0] = path;
    execv(path, argv);
    argv[0] = typed;
}

/* Becomes the interpreter, which serves the call or the command (entry.py). Returns why it cannot. */
static const char *exec_interpreter(int argc, char **argv)
{
    static char path[PATH_MAX], why[PATH_MAX + 64];
    char role[32] = CALL, *arguments[argc + 3];
    if (!path_beside(INTERNAL_DIRECTORY "/" PYTHON, path))
        return UNKNOWN_PLACE;
    if (early.failed)
        sprintf(role, REFUSED "%d", early.failed);
    arguments[0] = PYTHON;
    arguments[1] = role;
    memcpy(arguments + 2, argv, ((size_t)argc + 1) * sizeof *argv);
    if (give_back())
        execv(path, arguments);
    snprintf(why, sizeof why, "%s: %s", path, strerror(errno));
    return why;
}

int main(int argc, char **argv)
{
    int command = is_command(argc, argv);
    if (command && !is_question(argc, argv))
        exec_commands(argv);
    ignore_failing_writes();
    start_early(argc, argv);
    if (early.pid) {
        start_recorder(argv[0]);
        supervise();
    }
    const char *why = exec_interpreter(argc, argv);
    if (command)
        exec_commands(argv);
    int is_call = early.failed || input_given || is_plugin_call(argc);
    if (is_call || interposed_name(argc, argv))
        give_up(is_call, DAMAGED, why);
    fprintf(stderr, "error: %s\ntry: mount /proc, and install the bundle again, under a shorter path\n", why);
    return 3;
}
