/* The delegate of an interposed call, started before there is an interpreter: the task waits for nothing but it.
 *
 * What is neither ADD nor DEL becomes the delegate (execve). An ADD or DEL starts it as a child; from then on this
 * process does what supervise.h says, and the interpreter runs in another one. Only where there is no delegate to run
 * does the interpreter run here, to say so (delegate.py's find).
 */

static const char *const INTERPOSED[] = {"vpc-branch-eni", "vpc-eni", "ecs-eni"};              /* base/runtime.py's */
static const int FORWARDED[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, 0};        /* delegate.py's */

/* What standard input gives beyond `input`. */
static char first_more[16 * 1024];
static struct bytes more_input = {first_more, 0, sizeof first_more, 0};

/* The delegate. `pid` is 0 unless there is one; `failed` the errno of why it could not be executed. `to` and `from` are our
 * ends of its standard input and output, the latter a pipe unless `is_file`; `fed` are the bytes of `feeding` that it has.
 * `ready` is whether standard input has more. */
static struct {
    pid_t pid;
    int failed, ready, to, from, is_file;
    struct bytes *feeding;
    size_t fed;
    int64_t started;
    sigset_t awaited, mask;
    struct sigaction children, pipes, sizes;
} early = {.to = -1, .from = -1, .feeding = &input};

static void mark(void)
{
    int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, (unsigned long)((slack > 0 ? slack - slack % MARK_OF : 0) + MARK), 0, 0, 0);
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
    return !is_marked();
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* As in any Python: a runtime that is gone, a limit on file sizes, show as errors of the write. */
static void ignore_failing_writes(void)
{
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    TRIED(sigaction(SIGPIPE, &ignored, &early.pipes));
    TRIED(sigaction(SIGXFSZ, &ignored, &early.sizes));
}

/* Undoes that, and marks the process: it is to execute the delegate. */
static void restore_default_signals(void)
{
    TRIED(sigaction(SIGPIPE, &early.pipes, NULL));
    TRIED(sigaction(SIGXFSZ, &early.sizes, NULL));
    mark();
}

/* Blocks the signals that a delegate gets by way of us, and SIGCHLD, which must not be ignored: the kernel would throw the
 * exit status away. Who had us ignore one (nohup) has told the delegate as well. */
static void block_signals(void)
{
    struct sigaction now, by_default = {.sa_handler = SIG_DFL};
    sigemptyset(&early.awaited);
    sigaddset(&early.awaited, SIGCHLD);
    for (const int *number = FORWARDED; *number; number++)
        if (TRIED(sigaction(*number, NULL, &now)) && now.sa_handler != SIG_IGN)
            sigaddset(&early.awaited, *number);
    TRIED(sigaction(SIGCHLD, &by_default, &early.children));
    TRIED(sigprocmask(SIG_BLOCK, &early.awaited, &early.mask));
}

static void unblock_signals(void)
{
    TRIED(sigaction(SIGCHLD, &early.children, NULL));
    TRIED(sigprocmask(SIG_SETMASK, &early.mask, NULL));
}

/* Starts the delegate. The child of vfork runs in our memory until it has executed it, while we wait: system calls only.
 * It dies with us: the ECS agent kills a plugin that takes too long, and only that one process. */
static pid_t start(const char *path, char **arguments, int in, int out, volatile int *failed)
{
    pid_t parent = getpid();
    *failed = 0;
    pid_t pid = vfork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* we died before it could be told */
        _exit(CANNOT_RUN);
    restore_default_signals();
    if (TRIED(dup2(in, 0)) && TRIED(dup2(out, 1))) {
        unblock_signals();
        execve(path, arguments, environ);
    }
    *failed = errno;
    _exit(CANNOT_RUN);
}

/* A pipe that is not closed is one whose reader waits. To close what has been closed does no harm: there are no threads. */
static void shut(int fd)
{
    while (close(fd) < 0 && errno != EBADF)
        ;
}

static void close_once(int *fd)
{
    if (*fd >= 0)
        shut(*fd);
    *fd = -1;
}

/* Whether a read or write that gave `done` is to be made again later; `errors` counts those that failed. */
static int goes_on(ssize_t done, int *errors)
{
    return done > 0 || (done < 0 && (errno == EAGAIN || errno == EINTR || ++*errors < 3));
}

/* Whether the delegate waits for what standard input still gives. */
static int is_fed(void)
{
    return early.to >= 0 && early.fed == early.feeding->size;
}

/* Gives the delegate what standard input gave, and what it still gives: that is longer than the recorder can use. */
static void feed(void)
{
    static int errors;
    if (is_fed() && early.ready) {
        early.feeding = &more_input;
        early.fed = more_input.size = 0;
        if (!goes_on(take(0, &more_input, -1), &errors))
            input_open = 0;
    }
    if (early.to >= 0 && early.fed < early.feeding->size) {
        ssize_t size = write(early.to, early.feeding->at + early.fed, early.feeding->size - early.fed);
        if (size > 0)
            early.fed += (size_t)size;
        else if (!goes_on(size, &errors))
            close_once(&early.to);
    }
    if (is_fed() && !input_open)
        close_once(&early.to);
}

/* Puts what was read of standard input in its place again: a pipe, or a memory file. 0 when there can be neither. */
static int give_back(void)
{
    int ends[2], file, size = (int)input.size;
    if (!input_given)
        return 1;
    if (TRIED(pipe2(ends, O_CLOEXEC))) {
        if ((fcntl(ends[1], F_GETPIPE_SZ) >= size || fcntl(ends[1], F_SETPIPE_SZ, size) >= size) &&
            write_all(ends[1], input.at, input.size) && TRIED(dup2(ends[0], 0)))
            return 1;
        close(ends[0]);
        close(ends[1]);
    }
    file = memfd_create("stdin", MFD_CLOEXEC);
    return file >= 0 && write_all(file, input.at, input.size) && lseek(file, 0, SEEK_SET) == 0 && TRIED(dup2(file, 0));
}

/* Says why a call is not recorded: in the journal, in failures.jsonl by `note`, and on standard error ALOUD, or if it could
 * be said nowhere ELSE. */
enum { NEVER, ELSE, ALOUD };
static void unrecorded(const char *why, int aloud, int (*note)(const char *state, const char *event, const char *why))
{
    const char *command = getenv("CNI_COMMAND"), *event = strcmp(command, "DEL") == 0 ? "del" : "add";
    char message[1024];
    snprintf(message, sizeof message, "%s not recorded: %s", command, why);
    int told = settings.journald && tell_journal(event, message);
    told |= note(settings.state, event, why);
    if (aloud == ALOUD || (aloud == ELSE && !told))
        say(message, "");
}

/* Becomes the delegate, since there is no way to stand beside it: unrecorded, but run. */
static void step_aside(const char *path, char **arguments, const char *what, int error)
{
    char why[256];
    snprintf(why, sizeof why, "%s: %s", what, strerror(error));
    if (settings.must_record || !give_back()) {
        say("the delegate is not run", why);
        answer_error(input.at, INTERNAL, "the delegate is not run", why);
        _exit(1);
    }
    unrecorded(why, ELSE, note_failure); /* how it will end is not known, and then standard error is its own */
    restore_default_signals();
    execve(path, arguments, environ);
    answer_error(input.at, INTERNAL, "the delegate cannot be executed", strerror(errno));
    _exit(1);
}

/* Starts the delegate as a child, with what standard input gives. */
static void start_delegate(const char *path, char **arguments)
{
    int in[2], out[2], error;
    volatile int failed = 0;
    struct rlimit sizes;
    pid_t pid;
    /* A process that the delegate leaves behind can write to a memory file for as long as it likes, to a pipe it cannot once
     * we are gone. But a memory file falls under the limit on file sizes, and a pipe does not. */
    early.is_file = getrlimit(RLIMIT_FSIZE, &sizes) == 0 && sizes.rlim_cur == RLIM_INFINITY &&
                    (out[0] = out[1] = memfd_create("stdout", MFD_CLOEXEC)) >= 0;
    if (!TRIED(pipe2(in, O_CLOEXEC)) || (!early.is_file && !TRIED(pipe2(out, O_CLOEXEC))))
        step_aside(path, arguments, "there are no pipes", errno);
    read_input();
    early.to = in[1];
    early.from = out[0];
    TRIED(fcntl(early.to, F_SETFL, O_NONBLOCK));
    if (!early.is_file)
        TRIED(fcntl(early.from, F_SETFL, O_NONBLOCK));
    feed();
    block_signals();
    early.started = monotonic_ns();
    for (int left = 3; left; left--) {
        pid = start(path, arguments, input_given ? in[0] : 0, out[1], &failed);
        if (pid > 0 && !failed)
            break;
        if (pid > 0)
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
    }
    error = errno;
    if (pid < 0 || failed)
        unblock_signals();
    if (pid < 0)
        step_aside(path, arguments, "there can be no process", error);
    shut(in[0]);
    if (!early.is_file)
        shut(out[1]);
    if ((early.failed = failed))
        return;
    early.pid = pid;
}

/* The name among INTERPOSED that we were called by; NULL when it is another. */
static const char *interposed_name(int argc, char **argv)
{
    for (size_t i = 0; argc > 0 && i < sizeof INTERPOSED / sizeof *INTERPOSED; i++)
        if (strcmp(name_of(argv[0]), INTERPOSED[i]) == 0)
            return INTERPOSED[i];
    return NULL;
}

/* The delegate of a call of this name: becomes it, or starts it as a child. Comes back without one when none can be run. */
static void start_early(int argc, char **argv)
{
    const char *command = getenv("CNI_COMMAND"), *name = interposed_name(argc, argv);
    char path[PATH_MAX];
    if (!name)
        return;
    read_settings(argv[0]);
    sprintf(path, "%s/%s", settings.delegates, name);
    if (!can_be_run(path, argv[0]))
        return;
    if (argc > 1 || !command || (strcmp(command, "ADD") != 0 && strcmp(command, "DEL") != 0)) {
        restore_default_signals();
        execve(path, argv, environ);
        early.failed = errno;
        ignore_failing_writes();
        return;
    }
    /* As Go's runtime does in the real plugins: else a file of ours is taken for a closed descriptor. */
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return;
    start_delegate(path, argv);
}
