/* The front door: an interpreter, our modules and a few system calls in one executable.
 *
 * PyInstaller's bootloader executes itself a second time (for LD_LIBRARY_PATH), loads a libpython that has 50,000 addresses
 * to relocate, and has the interpreter look for modules in directories; that was half of what an ADD cost. Here libpython is
 * linked in, from its static archive, everything is frozen, and nothing is searched for. Only what Python documents for
 * embedding is used ("Python Initialization Configuration", "Importing Modules").
 *
 * early.h starts the delegate of an interposed call before all this; supervise.h hands its answer on, whatever becomes of the
 * interpreter, which then runs in another process. front_modules.h is closure.py's: FROZEN_MODULES, the modules as
 * marshalled code.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
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

#include "front_modules.h"

#define TEXT_OF(x) #x
#define VERSION_OF(major, minor) TEXT_OF(major) "." TEXT_OF(minor)
#define EXTENSIONS "/_internal/python" VERSION_OF(PY_MAJOR_VERSION, PY_MINOR_VERSION) "/lib-dynload" /* C modules */

#define CANNOT_RUN 127
#define STDIN_LIMIT (1 << 20)      /* bytes; protocol.py's */
#define COMMANDS "/eni-ledger-cli" /* entry.py's CLI */
#define UNKNOWN_PLACE "eni-ledger cannot tell where it is installed: /proc is not there, or the path has 4096 bytes or more"

/* Each uses what stands before it. */
#include "json.h"
#include "kept.h"
#include "words.h"
#include "settings.h"
#include "early.h"
#include "supervise.h"

/* --- eni_ledger.plugin.process: see process.py --------------------------------------------------------------------- */

/* (what standard input gave or None, the errno of why there is no delegate, whether there is one). */
static PyObject *process_early(PyObject *self, PyObject *nothing)
{
    return Py_BuildValue("(y#ii)", early.given ? input.at : NULL, (Py_ssize_t)input.size, early.failed, early.pid != 0);
}

/* Reads `size` bytes of what the supervisor says. When it is gone there is no delegate any more, and nothing to record. */
static void hear(char *to, size_t size)
{
    while (size) {
        ssize_t done = read(0, to, size);
        if (done == 0 || (done < 0 && errno != EINTR))
            _exit(1);
        if (done > 0) {
            to += done;
            size -= (size_t)done;
        }
    }
}

static PyObject *process_wait(PyObject *self, PyObject *nothing)
{
    struct ended ended;
    hear((char *)&ended, sizeof ended);
    PyObject *text = PyBytes_FromStringAndSize(NULL, ended.size);
    if (!text)
        return NULL;
    hear(PyBytes_AS_STRING(text), ended.size);
    return Py_BuildValue("(iNd)", (int)ended.status, text, (double)ended.took_ns / 1e6);
}

static PyObject *process_has_ended(PyObject *self, PyObject *milliseconds)
{
    struct pollfd control = {.fd = 0, .events = POLLIN};
    int longest = (int)PyLong_AsLong(milliseconds);
    if (longest == -1 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(poll(&control, 1, longest) > 0);
}

static PyObject *process_forward_answer(PyObject *self, PyObject *nothing)
{
    char word = HAND_ON;
    write_all(1, &word, 1);
    Py_RETURN_NONE;
}

static PyObject *process_is_marked(PyObject *self, PyObject *nothing)
{
    return PyBool_FromLong(is_marked());
}

static PyMethodDef process_functions[] = {
    {"early", process_early, METH_NOARGS, NULL},
    {"wait", process_wait, METH_NOARGS, NULL},
    {"has_ended", process_has_ended, METH_O, NULL},
    {"forward_answer", process_forward_answer, METH_NOARGS, NULL},
    {"is_marked", process_is_marked, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef process_module = {PyModuleDef_HEAD_INIT, .m_name = PROCESS, .m_methods = process_functions};

static PyObject *setns_setns(PyObject *self, PyObject *fd)
{
    int number = (int)PyLong_AsLong(fd);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (setns(number, CLONE_NEWNET) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef setns_functions[] = {
    {"setns", setns_setns, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef setns_module = {PyModuleDef_HEAD_INIT, .m_name = SETNS, .m_methods = setns_functions};

/* Makes a module and puts it where an import of it looks first. */
static int add_module(struct PyModuleDef *definition)
{
    PyObject *module = PyModule_Create(definition);
    return module ? PyDict_SetItemString(PyImport_GetModuleDict(), definition->m_name, module) : -1;
}

/* --- the interpreter ----------------------------------------------------------------------------------------------- */

/* A page fault costs more than what it is for, the more so in a virtual machine, and the interpreter writes to nearly
 * every page of its data (reference counts): they are asked for at once, a tenth of a start. Before Linux 5.14 the kernel
 * does not know how, and nothing happens. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
static void populate_data(void)
{
    extern char __data_start[], _edata[];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)__data_start & -page;
    madvise((void *)start, (uintptr_t)_edata - start, MADV_POPULATE_WRITE);
}

/* The absolute path of this executable. 0 when it is not known: without /proc, or where it is too long for the kernel or
 * out of this process's root ("(unreachable)/..."). Nothing is looked for beside it then: a path without its beginning is
 * one of the current directory. */
static int own_path(char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size);
    if (length <= 0 || (size_t)length >= size || *path != '/')
        return 0;
    path[length] = '\0';
    return 1;
}

/* An interpreter that takes nothing from the environment, has no `site`, and installs no signal handlers. `path` is this
 * executable, empty if it is not known. Every path is given: else the interpreter would look for its library. C modules that
 * are not linked in lie in EXTENSIONS beside the executable; all else that can be imported is frozen. */
static PyStatus configure(int argc, char **argv, const char *path)
{
    char directory[PATH_MAX] = "/", extensions[PATH_MAX + sizeof EXTENSIONS];
    PyPreConfig before;
    PyConfig config;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        return status;
    if (name_of(path) - path > 1)
        snprintf(directory, sizeof directory, "%.*s", (int)(name_of(path) - path - 1), path);
    snprintf(extensions, sizeof extensions, "%s" EXTENSIONS, directory);
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.parse_argv = 0;
    config.write_bytecode = 0;
    config.optimization_level = 2;
    config.module_search_paths_set = 1;
    const struct {
        wchar_t **to;
        const char *path;
    } known[] = {{&config.executable, *path ? path : "/"}, {&config.base_executable, *path ? path : "/"},
                 {&config.home, directory}, {&config.stdlib_dir, directory},
                 {&config.prefix, directory}, {&config.base_prefix, directory},
                 {&config.exec_prefix, directory}, {&config.base_exec_prefix, directory}};
    for (size_t i = 0; i < sizeof known / sizeof *known && !PyStatus_Exception(status); i++)
        status = PyConfig_SetBytesString(&config, known[i].to, known[i].path);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesArgv(&config, argc, argv);
    wchar_t *searched = *path ? Py_DecodeLocale(extensions, NULL) : NULL;
    if (searched && !PyStatus_Exception(status))
        status = PyWideStringList_Append(&config.module_search_paths, searched);
    PyMem_RawFree(searched);
    PyImport_FrozenModules = FROZEN_MODULES;
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

/* The exception that was raised, if any; there is none any more. */
static PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyErr_NormalizeException(&kind, &value, &trace);
    return value;
#endif
}

/* Nothing of the CNI in the environment and our own name: a command, as a rule one that a person waits for. It need not
 * wait for an interpreter that would only find this out. Whatever else there is, and whatever fails, is entry.py's; so
 * are `list` and `who`, which may be plain questions (cli/quick.py). */
static void hand_over(int argc, char **argv)
{
    char path[PATH_MAX + sizeof COMMANDS];
    if (argc < 1 || strcmp(name_of(argv[0]), "eni-ledger") != 0)
        return;
    for (int i = 1; i < argc && i < 4; i++)
        if (strcmp(argv[i], "who") == 0 || strcmp(argv[i], "list") == 0)
            return;
    for (char **each = environ; *each; each++)
        if (strncmp(*each, "CNI_", 4) == 0)
            return;
    if (!own_path(path, PATH_MAX))
        return;
    strcpy(strrchr(path, '/'), COMMANDS);
    char *typed = argv[0];
    argv[0] = path;
    execv(path, argv);
    argv[0] = typed;
}

/* Nothing of ours can run: says so on standard error, and to a runtime in the form that it reads. */
static void give_up(int argc, const char *what, const char *why)
{
    int is_call = early.failed || early.given;
    say(what, why);
    for (size_t i = 0; argc <= 1 && i < sizeof OF_THE_CALL / sizeof *OF_THE_CALL; i++)
        is_call |= getenv(OF_THE_CALL[i].variable) != NULL;
    if (recorder.pid != -1 && (is_call || getenv("CNI_COMMAND"))) {
        if (!early.given && !isatty(0))
            read_input();
        answer_error(input.at, INTERNAL, what, why);
    }
    _exit(1);
}

/* front_door.py ends the process. To come back from it means that it could not begin. */
int main(int argc, char **argv)
{
    char path[PATH_MAX];
    hand_over(argc, argv);
    ignore_failing_writes();
    start_early(argc, argv);
    if (early.pid)
        fork_recorder();
    if (early.pid && recorder.pid != -1)
        supervise();
    populate_data();
    if (!own_path(path, sizeof path))
        *path = '\0';
    PyStatus status = configure(argc, argv, path);
    if (PyStatus_Exception(status))
        give_up(argc, "the interpreter does not start", status.err_msg ? status.err_msg : "no reason given");
    /* A process that lives for milliseconds has no cyclic garbage worth looking for: 0.4 ms of an ADD. */
    PyGC_Disable();
    if ((!*path && PySys_SetObject("executable", PyUnicode_FromString("")) < 0) || add_module(&process_module) < 0 ||
        add_module(&setns_module) < 0 || PyImport_ImportFrozenModule("front_door") <= 0) {
        PyObject *raised = take_exception(), *text = raised ? PyObject_Str(raised) : NULL,
                 *bytes = text ? PyUnicode_EncodeFSDefault(text) : NULL;
        const char *why = bytes ? PyBytes_AS_STRING(bytes) : "no reason given";
        int unknown = !*path && raised && PyErr_GivenExceptionMatches(raised, PyExc_ImportError);
        give_up(argc, "the installation is damaged", unknown ? UNKNOWN_PLACE : why);
    }
    give_up(argc, "the installation is damaged", "it has come to no end");
}
