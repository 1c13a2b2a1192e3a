/* A delegate at work, and beside it the recorder: a process of its own, in which the interpreter runs.
 *
 * Whatever becomes of the recorder (an error, a limit on memory, a signal, a disk that does not answer), this process
 * hands the delegate's answer on and ends as the delegate ended. It allocates nothing that it cannot do without, and a
 * system call that fails is made again. The recorder's descriptors are its own: those of the runtime must not stay open
 * behind us.
 *
 * What the two say to each other is in parts.h. What the recorder says on standard error is kept: a runtime takes that for
 * the reason of a call that failed without an answer (libcni's invoke), so it is no place for us then.
 */

#define RECORD_NS 900000000 /* how long after the delegate's end the answer waits for its record */
#define NOTE_MS 50          /* how long it waits for a line in failures.jsonl */

/* What the recorder says on its socket and on standard error. */
static char first_said[4096], first_words[8192];
static struct bytes said = {first_said, 0, sizeof first_said, 0}, words = {first_words, 0, sizeof first_words, 0};

/* `pid` is 0 once there is none; `why` is how it failed. */
static struct {
    pid_t pid;
    int control, words, status, late;
    char why[192];
} recorder = {.control = -1, .words = -1};

/* What has come of the delegate. `taken` are the bytes of its answer that have been read, `passed` those that the runtime
 * has; `sent` are those that the recorder has of all that it is told; `spilt` is whether the answer goes to the runtime at
 * once, there being no memory to keep it in. */
static struct {
    int over, handed, refused, unwritten, spilt;
    struct begun begun;
    struct ended ended;
    size_t sent, passed, taken;
    int64_t at;
} outcome;

static volatile sig_atomic_t pending[NSIG];

static void on_signal(int number)
{
    pending[number] = 1;
}

/* --- the recorder --------------------------------------------------------------------------------------------------- */

/* Starts the interpreter at `path`. As in `start`, the child of vfork makes system calls only. */
static pid_t start_interpreter(const char *path, char **arguments, int control, int line, volatile int *failed)
{
    *failed = 0;
    pid_t pid = vfork();
    if (pid != 0)
        return pid;
    if (TRIED(dup2(control, 0)) && TRIED(dup2(control, 1)) && TRIED(dup2(line, 2))) {
        syscall(SYS_close_range, 3, ~0U, 0); /* Linux 5.9; before, what the runtime left open stays so */
        TRIED(execve(path, arguments, environ));
    }
    *failed = errno;
    _exit(CANNOT_RUN);
}

/* Says why there is no recorder. */
static void without_recorder(const char *what, const char *why)
{
    recorder.pid = 0;
    snprintf(recorder.why, sizeof recorder.why, "%s: %s", what, why);
}

/* Starts the recorder of a call that came as `called`; there is none when there can be none. */
static void start_recorder(char *called)
{
    char path[PATH_MAX], role[32];
    char *arguments[] = {PYTHON, role, called, NULL};
    int control[2] = {-1, -1}, line[2] = {-1, -1};
    volatile int failed = 0;
    if (!path_beside(INTERNAL_DIRECTORY "/" PYTHON, path)) {
        without_recorder(DAMAGED, UNKNOWN_PLACE);
        return;
    }
    sprintf(role, RECORD "%d", (int)getpid());
    if (!TRIED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control)) || !TRIED(pipe2(line, O_CLOEXEC)) ||
        !TRIED(recorder.pid = start_interpreter(path, arguments, control[1], line[1], &failed)))
        without_recorder("there can be no process to do it", strerror(errno));
    close_once(&control[1]);
    close_once(&line[1]);
    recorder.control = control[0];
    recorder.words = line[0];
    if (recorder.pid > 0 && failed) {
        while (waitpid(recorder.pid, NULL, 0) < 0 && errno == EINTR)
            ;
        without_recorder(DAMAGED, strerror(failed));
    }
    outcome.begun = (struct begun){input_given, (uint32_t)input.size};
    TRIED(fcntl(recorder.control, F_SETFL, O_NONBLOCK));
    TRIED(fcntl(recorder.words, F_SETFL, O_NONBLOCK));
}

/* --- ours ------------------------------------------------------------------------------------------------------------ */

/* Takes what the delegate has answered so far. */
static void drain(void)
{
    static int errors;
    ssize_t size = early.is_file && !outcome.over ? 0 : 1;
    while (early.from >= 0 && (size > 0 || (size < 0 && errno != EAGAIN))) { /* the last time, what fails is lost */
        off_t at = early.is_file ? (off_t)outcome.taken : -1;
        char chunk[4096];
        if (!outcome.spilt && !has_room(&answer)) {
            outcome.spilt = 1;
            if (!settings.must_record)
                outcome.unwritten |= !write_all(1, answer.at, outcome.passed = answer.size);
        }
        size = !outcome.spilt  ? take(early.from, &answer, at)
               : early.is_file ? pread(early.from, chunk, sizeof chunk, at)
                               : read(early.from, chunk, sizeof chunk);
        outcome.taken += size > 0 ? (size_t)size : 0;
        if (size > 0 && outcome.spilt && !settings.must_record)
            outcome.unwritten |= !write_all(1, chunk, (size_t)size);
        if (!goes_on(size, &errors))
            close_once(&early.from);
    }
}

/* Takes what the recorder says; what is more than we keep is thrown away. */
static void listen_to(int *fd, struct bytes *to)
{
    static int errors;
    ssize_t size = 1;
    while (*fd >= 0 && size > 0) {
        char chunk[4096];
        size = to->size + 1 < to->room ? take(*fd, to, -1) : read(*fd, chunk, sizeof chunk);
        if (!goes_on(size, &errors))
            close_once(fd);
    }
}

/* Tells the recorder what standard input gave, and how the delegate ended. Whether there is more to be said. */
static int inform(void)
{
    const struct {
        const void *at;
        size_t size;
    } parts[] = {{&outcome.begun, sizeof outcome.begun}, {input.at, outcome.begun.size},
                 {&outcome.ended, sizeof outcome.ended}, {answer.at, outcome.ended.size}};
    size_t before = 0;
    for (int i = 0; i < (outcome.over ? 4 : 2) && recorder.control >= 0; i++) {
        while (outcome.sent < before + parts[i].size) {
            size_t skipped = outcome.sent - before;
            ssize_t size = write(recorder.control, (const char *)parts[i].at + skipped, parts[i].size - skipped);
            if (size <= 0)
                return 1;
            outcome.sent += (size_t)size;
        }
        before += parts[i].size;
    }
    return 0;
}

/* Whether the child `pid` has ended, with `status`. */
static int has_ended(pid_t pid, int *status)
{
    static int errors;
    pid_t found = waitpid(pid, status, WNOHANG);
    if (found < 0 && ++errors > 100) /* there is no such child: not to be, and not to be waited for */
        *status = 1 << 8;
    return found == pid || (found < 0 && errors > 100);
}

/* Notices the end of a process, and passes on what signals have come. */
static void notice(void)
{
    int status;
    for (const int *number = FORWARDED; *number && !outcome.over; number++)
        if (pending[*number]) {
            pending[*number] = 0;
            kill(early.pid, *number); /* not waited for yet, so the number is still its own */
        }
    if (!outcome.over && has_ended(early.pid, &status)) {
        outcome.over = 1;
        outcome.at = monotonic_ns();
        drain();
        close_once(&early.from);
        close_once(&early.to);
        size_t size = answer.size < STDIN_LIMIT ? answer.size : STDIN_LIMIT;
        outcome.ended = (struct ended){status, (uint32_t)size, outcome.at - early.started};
    }
    if (recorder.pid && has_ended(recorder.pid, &recorder.status)) {
        recorder.pid = 0;
        listen_to(&recorder.control, &said);
        if (WIFSIGNALED(recorder.status))
            snprintf(recorder.why, sizeof recorder.why, "the recorder was ended by signal %d", WTERMSIG(recorder.status));
        else
            snprintf(recorder.why, sizeof recorder.why, "the recorder ended with status %d", WEXITSTATUS(recorder.status));
    }
}

/* Hands the answer on once it is recorded, or will not be. */
static void settle(void)
{
    int ready = said.size && *said.at == HAND_ON;
    if (outcome.over && recorder.pid && monotonic_ns() - outcome.at > RECORD_NS && !recorder.late) {
        recorder.late = 1;
        snprintf(recorder.why, sizeof recorder.why, "it is not done %d ms after the delegate", RECORD_NS / 1000000);
        if (!ready && settings.must_record)
            kill(recorder.pid, SIGKILL);
    }
    if (!outcome.over || outcome.handed || !(ready || !recorder.pid || recorder.late))
        return;
    outcome.handed = 1;
    outcome.refused = !ready && settings.must_record && outcome.ended.status == 0;
    if (!outcome.refused)
        outcome.unwritten |= !write_all(1, answer.at + outcome.passed, answer.size - outcome.passed);
    else if (said.size && !recorder.pid)
        outcome.unwritten |= !write_all(1, said.at, said.size);
    else
        outcome.unwritten |= !answer_error(input.at, INTERNAL, "the call is not recorded", recorder.why);
}

/* note_failure in a process of its own: the disk may be what does not answer. */
static int note_beside(const char *state, const char *event, const char *why)
{
    int status = 1, null;
    pid_t pid = fork();
    if (pid < 0)
        return note_failure(state, event, why);
    if (pid == 0) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3; fd++) /* the runtime waits until nobody has its pipes open */
            if (null < 0 || dup2(null, fd) < 0)
                close(fd);
        alarm(LINGER_S);
        _exit(!note_failure(state, event, why));
    }
    for (int left = NOTE_MS; left && waitpid(pid, &status, WNOHANG) == 0; left--)
        usleep(1000);
    return status == 0;
}

/* Says what there is to be said, where it can do no harm, and ends as the delegate ended. */
static void finish(void)
{
    int status = outcome.ended.status, number = WTERMSIG(status);
    int quiet = status != 0 && answer.size == 0;
    sigset_t one;
    listen_to(&recorder.words, &words);
    if (!quiet)
        write_all(2, words.at, words.size);
    if (!said.size || (*said.at != HAND_ON && !outcome.refused)) { /* else the recorder has said so */
        char why[1024];
        snprintf(why, sizeof why, "%s%s%.800s", recorder.why, words.size ? ": " : "", words.at);
        unrecorded(quiet ? why : recorder.why, quiet ? NEVER : ALOUD, note_beside);
    }
    if (outcome.unwritten)
        say("the answer cannot be written to standard output", "");
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status) || !(outcome.refused || outcome.unwritten) ? WEXITSTATUS(status) : 1);
    TRIED(prctl(PR_SET_DUMPABLE, 0)); /* no core of ours in the place of its */
    disposition(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    TRIED(sigprocmask(SIG_UNBLOCK, &one, NULL));
    TRIED(kill(getpid(), number));
    _exit(128 + number); /* process 1 of a container is not ended by its own signals */
}

/* Be to the runtime what the delegate is. */
static void supervise(void)
{
    sigset_t open = early.mask;
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&early.awaited, number) == 1) {
            disposition(number, on_signal);
            sigdelset(&open, number);
        }
    for (;;) {
        feed();
        drain();
        listen_to(&recorder.control, &said);
        listen_to(&recorder.words, &words);
        notice();
        int writing = inform();
        settle();
        if (outcome.handed && (!recorder.pid || recorder.late))
            finish();
        int reading = is_fed();
        struct pollfd of[] = {{.fd = reading ? 0 : -1, .events = POLLIN},
                              {.fd = reading ? -1 : early.to, .events = POLLOUT},
                              {.fd = early.is_file ? -1 : early.from, .events = POLLIN},
                              {.fd = recorder.control, .events = (short)(POLLIN | (writing ? POLLOUT : 0))},
                              {.fd = recorder.words, .events = POLLIN}};
        int64_t left = RECORD_NS - (outcome.over ? monotonic_ns() - outcome.at : 0);
        struct timespec longest = {.tv_sec = 0, .tv_nsec = left > 0 ? (long)left + 1000000 : 1000000};
        int found = ppoll(of, sizeof of / sizeof *of, &longest, &open);
        early.ready = found > 0 && of[0].revents;
        if (found < 0 && errno != EINTR)
            usleep(1000);
    }
}
