/* The two programs of the front door, and what they have in common.
 *
 * `eni-ledger` is small and starts what a call needs: the delegate, the interpreter, the command line. `_internal/PYTHON`
 * is the interpreter with our modules. Its arguments are PYTHON, its role, and those of the call, argv[0] first. Roles:
 *
 * CALL          nothing has been done yet
 * REFUSED errno the delegate cannot be executed; nothing has been read of standard input
 * RECORD pid    the delegate works; descriptors 0 and 1 are a socket to the front door, the process of that number
 *
 * On that socket the recorder gets standard input (struct begun), and the delegate's end and answer (struct ended). It says
 * HAND_ON once the answer can be passed on, or the error to answer with in its place, as JSON.
 */

#define PYTHON "eni-ledger-python"
#define INTERNAL_DIRECTORY "/_internal"
#define CALL "call"
#define REFUSED "refused "
#define RECORD "record "

#define HAND_ON 'a'
#define LINGER_S 5            /* seconds that a recorder may go on after the front door */
#define STDIN_LIMIT (1 << 20) /* bytes; protocol.py's */
#define DAMAGED "the installation is damaged"
#define UNKNOWN_PLACE "eni-ledger cannot tell where it is installed: /proc is not there, or the path has 4096 bytes or more"

/* `given` is whether standard input could be read; `size` are the bytes that follow. */
struct begun {
    int32_t given;
    uint32_t size;
};

struct ended {
    int32_t status;
    uint32_t size;
    int64_t took_ns;
};

/* Whether `call`, a system call, succeeds: at once, or at another attempt, since a failure may be one by chance. */
#define TRIED(call)                                                                                                    \
    ({                                                                                                                 \
        int left = 3;                                                                                                  \
        while ((call) < 0 && --left)                                                                                   \
            ;                                                                                                          \
        left > 0;                                                                                                      \
    })

static void disposition(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    TRIED(sigaction(number, &action, NULL));
}

/* The absolute path of this executable, in PATH_MAX bytes. 0 when it is not known: without /proc, or where it is too long
 * for the kernel or out of this process's root ("(unreachable)/..."). Nothing is looked for beside it then: a path without
 * its beginning is one of the current directory. */
static int own_path(char *path)
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    if (length <= 0 || length >= PATH_MAX || *path != '/')
        return 0;
    path[length] = '\0';
    return 1;
}

/* The path of what lies at `name` beside this executable, in PATH_MAX bytes. 0 when it is not known. */
static int path_beside(const char *name, char *path)
{
    char *slash = own_path(path) ? strrchr(path, '/') : NULL;
    if (!slash || (size_t)(slash - path) + strlen(name) >= PATH_MAX)
        return 0;
    strcpy(slash, name);
    return 1;
}

/* A delegate that calls us by way of the plugin path would go on without end. So its process, and all that it starts or
 * becomes, has a timer slack (prctl(2)) of MARK_OF nanoseconds with the remainder MARK: the kernel keeps that over fork and
 * execve, and neither environment nor descriptors are other than without us. process.py's. */
#define MARK 613
#define MARK_OF 1000

static int is_marked(void)
{
    return prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) % MARK_OF == MARK;
}
