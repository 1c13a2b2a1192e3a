/* The delegate of an ordinary call, started before there is an interpreter: the task waits for nothing but it.
 *
 * This is what interposed.py and delegate.py do first (`Running.early` takes it over), for an ADD or DEL where all is as
 * `install ecs` leaves it. Whatever is not (a configuration file that takes more than `plain_config` to understand, a
 * delegate that is missing, not to be executed or ourselves, a closed descriptor) is left to them, and so are all errors:
 * until the delegate runs, nothing has changed, save that what standard input gave is then in a memory file in its place.
 */

#define PLUGIN_DIRECTORY "/amazon-ecs-cni-plugins" /* config.py's AGENT_PLUGIN_DIR */
#define CONFIG_FILE "/etc/eni-ledger/config.json"  /* config.py's CONFIG_FILE */
#define PLAIN_LIMIT 4096                           /* bytes of a configuration file that is still an ordinary one */
#define ANCESTORS 4                                /* delegate.py's _ANCESTORS */

static const char *const INTERPOSED[] = {"vpc-branch-eni", "vpc-eni"};                         /* front.py's */
static const int FORWARDED[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, 0};        /* delegate.py's */

/* `pid` is 0 unless there is one. `awaited` are the signals to wait for; `in` and `out` its standard input and output. */
static struct {
    pid_t pid;
    int in, out, must_record;
    int64_t started;
    sigset_t awaited;
} early;

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* --- the configuration file ---------------------------------------------------------------------------------------- */

static const char *past_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind a string of printable ASCII without escapes, or NULL. */
static const char *past_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    while (*at >= ' ' && *at <= '~' && *at != '"' && *at != '\\')
        at++;
    return *at == '"' ? at + 1 : NULL;
}

/* Behind such a string, a small natural number, true or false; or NULL. */
static const char *past_value(const char *at)
{
    static const char *const WORDS[] = {"true", "false"};
    for (int i = 0; i < 2; i++)
        if (strncmp(at, WORDS[i], strlen(WORDS[i])) == 0)
            return at + strlen(WORDS[i]);
    size_t digits = strspn(at, "0123456789");
    if (digits)
        return digits < 18 && (*at != '0' || digits == 1) ? at + digits : NULL;
    return past_string(at);
}

/* Reads `delegateDir` and whether `onError` is `fail` from a JSON object of such values, each key once. 0 when it is
 * anything else: what that comes to is for config.py to say. */
static int plain_config(const char *text, char *directory, size_t size, int *must_record)
{
    int directories = 0, on_errors = 0;
    const char *at = past_space(text);
    if (*at != '{')
        return 0;
    do {
        const char *key = past_space(at + 1), *end = past_string(key), *value;
        if (!end || *(at = past_space(end)) != ':')
            return 0;
        value = past_space(at + 1);
        if (!(at = past_value(value)))
            return 0;
        if (strncmp(key, "\"delegateDir\"", end - key) == 0) {
            size_t length = at - value - 2;
            if (directories++ || value[0] != '"' || value[1] != '/' || length >= size)
                return 0;
            memcpy(directory, value + 1, length);
            directory[length] = '\0';
        } else if (strncmp(key, "\"onError\"", end - key) == 0) {
            if (on_errors++)
                return 0;
            *must_record = strncmp(value, "\"fail\"", at - value) == 0;
        }
        at = past_space(at);
    } while (*at == ',');
    return *at == '}' && *past_space(at + 1) == '\0';
}

/* Reads the configuration file into `text`. -1 when that fails, 0 when there is none. */
static int read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    ssize_t length = read(fd, text, size);
    close(fd);
    if (length < 0 || (size_t)length == size || memchr(text, 0, length))
        return -1;
    text[length] = '\0';
    return 1;
}

/* The directory of the delegates: what the configuration file says that counts for a program called as `called`. */
static int find_directory(const char *called, char *directory, size_t size)
{
    char text[PLAIN_LIMIT], beside[PATH_MAX];
    const char *named = getenv("ENI_LEDGER_CONFIG");
    strcpy(directory, PLUGIN_DIRECTORY);
    if (*called != '/' || strlen(called) + sizeof "/config.json" > sizeof beside || (named && *named))
        return 0;
    strcpy(beside, called);
    *strrchr(beside, '/') = '\0';
    char *slash = strrchr(beside, '/');
    strcpy(slash ? slash : beside, "/config.json");
    int found = read_file(beside, text, sizeof text);
    if (found == 0)
        found = read_file(CONFIG_FILE, text, sizeof text);
    return found == 0 || (found > 0 && plain_config(text, directory, size, &early.must_record));
}

/* --- the delegate -------------------------------------------------------------------------------------------------- */

/* Whether an eni-ledger is among our ancestors, so that it would go on without end; see delegate.py. */
static int below_ourselves(void)
{
    pid_t pid = getppid();
    for (int i = 0; i < ANCESTORS; i++) {
        char name[32], text[PATH_MAX];
        snprintf(name, sizeof name, "/proc/%d/exe", (int)pid);
        ssize_t length = readlink(name, text, sizeof text - 1);
        if (length < 0)
            return 0;
        text[length] = '\0';
        if (strcmp(name_of(text), "eni-ledger") == 0)
            return 1;
        snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
        if (read_file(name, text, sizeof text) <= 0)
            return 0;
        const char *behind = strrchr(text, ')'); /* proc(5): field 2 may hold anything */
        int parent;
        if (!behind || sscanf(behind, ") %*c %d", &parent) != 1)
            return 0;
        pid = parent;
    }
    return 0;
}

static int can_be_run(const char *path, const char *called)
{
    const char *const ours[] = {"/proc/self/exe", called};
    struct stat found, own;
    if (stat(path, &found) < 0 || S_ISDIR(found.st_mode) || access(path, X_OK) < 0)
        return 0;
    for (int i = 0; i < 2; i++)
        if (stat(ours[i], &own) == 0 && own.st_dev == found.st_dev && own.st_ino == found.st_ino)
            return 0;
    return !below_ourselves();
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EAGAIN) /* a pipe that is full and that the runtime made non-blocking */
            usleep(1000);
        else if (done < 0 && errno != EINTR)
            return 0;
        if (done > 0) {
            data += done;
            size -= (size_t)done;
        }
    }
    return 1;
}

/* Copies all that `from` still gives. 0 when that fails. */
static int copy_all(int from, int to)
{
    char chunk[1 << 14];
    for (;;) {
        ssize_t size = read(from, chunk, sizeof chunk);
        if (size == 0)
            return 1;
        if (size < 0 && errno == EAGAIN) /* a pipe that is empty and that the runtime made non-blocking */
            usleep(1000);
        else if (size < 0 ? errno != EINTR : !write_all(to, chunk, (size_t)size))
            return 0;
    }
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Starts `path`. When there can be no process, or it cannot be executed, all is as before and interposed.py says so. */
static void start_delegate(const char *path, char **arguments)
{
    sigset_t before;
    struct sigaction children;
    volatile int failed = 0;
    early.in = memfd_create("stdin", MFD_CLOEXEC);
    early.out = memfd_create("stdout", MFD_CLOEXEC);
    if (early.in < 0 || early.out < 0 || !copy_all(0, early.in) || lseek(early.in, 0, SEEK_SET) < 0)
        return;
    sigprocmask(SIG_SETMASK, NULL, &before);
    sigaction(SIGCHLD, NULL, &children);
    sigemptyset(&early.awaited);
    sigaddset(&early.awaited, SIGCHLD);
    for (const int *number = FORWARDED; *number; number++) {
        struct sigaction now;
        if (sigaction(*number, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&early.awaited, *number);
    }
    early.started = monotonic_ns();
    pid_t pid = start(path, arguments, environ, early.in, early.out, &early.awaited, &failed);
    if (pid > 0 && !failed) {
        early.pid = pid;
        return;
    }
    if (pid > 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    sigaction(SIGCHLD, &children, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    dup2(early.in, 0);
}

static void start_early(int argc, char **argv)
{
    const char *command = getenv("CNI_COMMAND"), *name = NULL;
    char path[PATH_MAX];
    if (argc != 1 || !command || (strcmp(command, "ADD") != 0 && strcmp(command, "DEL") != 0))
        return;
    for (size_t i = 0; i < sizeof INTERPOSED / sizeof *INTERPOSED; i++)
        if (strcmp(name_of(argv[0]), INTERPOSED[i]) == 0)
            name = INTERPOSED[i];
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return;
    if (!name || !find_directory(argv[0], path, sizeof path - NAME_MAX))
        return;
    sprintf(path + strlen(path), "/%s", name);
    if (can_be_run(path, argv[0]))
        start_delegate(path, argv);
}

/* There is no interpreter to record anything, but the delegate is at work: be to the runtime what it is. Returns when
 * there is none, or when it did its work and the configuration wants an error because that is not recorded. */
static void stand_in(void)
{
    int status, number;
    if (!early.pid)
        return;
    do {
        sigwait(&early.awaited, &number);
        if (number != SIGCHLD)
            kill(early.pid, number);
    } while (waitpid(early.pid, &status, WNOHANG) != early.pid);
    if (status == 0 && early.must_record)
        return;
    lseek(early.out, 0, SEEK_SET);
    copy_all(early.out, 1);
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    number = WTERMSIG(status);
    prctl(PR_SET_DUMPABLE, 0);
    disposition(number, SIG_DFL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    kill(getpid(), number);
    _exit(128 + number);
}

/* What Running.early takes over: (stdin, stdout, started, pid, awaited), or None. */
static PyObject *process_early(PyObject *self, PyObject *nothing)
{
    if (!early.pid)
        Py_RETURN_NONE;
    PyObject *numbers = PyList_New(0);
    for (int number = 1; numbers && number < NSIG; number++)
        if (sigismember(&early.awaited, number) == 1) {
            PyObject *item = PyLong_FromLong(number);
            if (!item || PyList_Append(numbers, item) < 0)
                Py_CLEAR(numbers);
            Py_XDECREF(item);
        }
    return numbers ? Py_BuildValue("(iiLiN)", early.in, early.out, (long long)early.started, (int)early.pid, numbers)
                   : NULL;
}
