/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A D-Bus service that hands the disk over, reads and writes for its client, by way of a dbus-daemon of our own. With
 * polkit it asks polkitd before it hands anything over; what is done with a descriptor nobody asks about, so only that.
 */
#include "peers.h"

#include <fcntl.h>
#include <systemd/sd-bus.h>

#define PATH "/org/postern/benchmark"
#define INTERFACE "org.postern.benchmark"
#define ACTION "org.postern.benchmark.open"

static sd_bus *connection;
static int disk = -1;
static char holder[64];
static const char *service;
static int asks_polkit;

/* What the bus says of the sender: its user. */
static int is_granted(sd_bus_message *request)
{
	sd_bus_creds *sender = NULL;
	uid_t user;
	int granted = sd_bus_query_sender_creds(request, SD_BUS_CREDS_EUID, &sender) >= 0 &&
		      sd_bus_creds_get_euid(sender, &user) >= 0 && user == NOBODY;

	sd_bus_creds_unref(sender);
	return granted;
}

/* What polkitd says of the sender and this action. */
static int is_authorized(sd_bus_message *request)
{
	sd_bus_message *reply = NULL;
	int authorized = 0;

	if (sd_bus_call_method(connection, "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
			       "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization", NULL, &reply,
			       "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", sd_bus_message_get_sender(request),
			       ACTION, 0, 0, "") < 0 ||
	    sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
	    sd_bus_message_read(reply, "b", &authorized) < 0)
		authorized = 0;
	sd_bus_message_unref(reply);
	return authorized;
}

static int on_open(sd_bus_message *request, void *data, sd_bus_error *error)
{
	int descriptor, result;

	(void)data;
	if (!is_granted(request) || (asks_polkit && !is_authorized(request)))
		return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "not granted");
	snprintf(holder, sizeof(holder), "%s", sd_bus_message_get_sender(request));
	descriptor = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	result = sd_bus_reply_method_return(request, "h", descriptor);
	close(descriptor);
	return result;
}

/* A bus name belongs to one connection as long as the daemon runs. */
static int check(sd_bus_message *request, uint64_t offset, uint64_t size)
{
	if (strcmp(sd_bus_message_get_sender(request), holder))
		return -EACCES;
	return size > LARGEST || offset > LENGTH || size > LENGTH - offset ? -EPERM : 0;
}

static int on_read(sd_bus_message *request, void *data, sd_bus_error *error)
{
	static char bytes[LARGEST];
	sd_bus_message *reply = NULL;
	uint64_t offset, size;
	ssize_t count;
	int result = sd_bus_message_read(request, "tt", &offset, &size);

	(void)data;
	(void)error;
	if (result >= 0)
		result = check(request, offset, size);
	if (result < 0)
		return result;
	count = pread(disk, bytes, size, (off_t)offset);
	if (count < 0)
		return -errno;
	result = sd_bus_message_new_method_return(request, &reply);
	if (result >= 0)
		result = sd_bus_message_append_array(reply, 'y', bytes, (size_t)count);
	if (result >= 0)
		result = sd_bus_send(connection, reply, NULL);
	sd_bus_message_unref(reply);
	return result;
}

static int on_write(sd_bus_message *request, void *data, sd_bus_error *error)
{
	const void *bytes;
	uint64_t offset;
	size_t size;
	ssize_t count;
	int result = sd_bus_message_read(request, "t", &offset);

	(void)data;
	(void)error;
	if (result >= 0)
		result = sd_bus_message_read_array(request, 'y', &bytes, &size);
	if (result >= 0)
		result = check(request, offset, size);
	if (result < 0)
		return result;
	count = pwrite(disk, bytes, size, (off_t)offset);
	return count < 0 ? -errno : sd_bus_reply_method_return(request, "t", (uint64_t)count);
}

static const sd_bus_vtable methods[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Open", "", "h", on_open, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Read", "tt", "ay", on_read, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Write", "tay", "t", on_write, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int connect_bus(void)
{
	return sd_bus_new(&connection) < 0 || sd_bus_set_address(connection, needed("PEERS_BUS")) < 0 ||
	       sd_bus_set_bus_client(connection, 1) < 0 || sd_bus_negotiate_fds(connection, 1) < 0 ||
	       sd_bus_start(connection) < 0;
}

static void serve(int answer)
{
	disk = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	if (disk < 0 || connect_bus() ||
	    sd_bus_add_object_vtable(connection, NULL, PATH, INTERFACE, methods, NULL) < 0 ||
	    sd_bus_request_name(connection, service, 0) < 0 || write(answer, "", 1) != 1)
		_exit(1);
	while (sd_bus_process(connection, NULL) >= 0)
		sd_bus_wait(connection, UINT64_MAX);
	_exit(1);
}

static void prepare(struct way *way, const char *missing)
{
	int answer[2];
	char byte;

	if (setting(missing)) {
		cannot(way, setting(missing));
		return;
	}
	if (pipe2(answer, O_CLOEXEC))
		die("pipe");
	if (server(way) == 0)
		serve(answer[1]);
	close(answer[1]);
	if (read(answer[0], &byte, 1) != 1)
		cannot(way, "the service got no name on the bus");
	close(answer[0]);
	way->servers[way->server_count++] = atoi(needed("PEERS_BUS_PID"));
}

static void prepare_bus(struct way *way)
{
	service = "org.postern.benchmark.Plain";
	prepare(way, "PEERS_NO_BUS");
}

static void prepare_polkit(struct way *way)
{
	asks_polkit = 1;
	service = "org.postern.benchmark.Polkit";
	prepare(way, "PEERS_NO_POLKIT");
	if (!*way->why)
		way->servers[way->server_count++] = atoi(needed("PEERS_POLKIT_PID"));
}

static sd_bus_message *call(sd_bus_message *request)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;

	if (sd_bus_call(connection, request, 0, &error, &reply) < 0) {
		fprintf(stderr, "benchmark: D-Bus: %s\n", error.message);
		exit(1);
	}
	sd_bus_message_unref(request);
	return reply;
}

static sd_bus_message *method(const char *member)
{
	sd_bus_message *request = NULL;

	if (sd_bus_message_new_method_call(connection, &request, service, PATH, INTERFACE, member) < 0)
		die("D-Bus");
	return request;
}

static void acquire(const struct task *task)
{
	sd_bus_message *reply = call(method("Open"));
	int descriptor;

	(void)task;
	if (sd_bus_message_read(reply, "h", &descriptor) < 0)
		die("D-Bus");
	/* The message's own goes with the message. */
	held.acquired = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
	sd_bus_message_unref(reply);
}

static void open_bus(struct way *way)
{
	(void)way;
	if (connect_bus())
		die("D-Bus");
	acquire(NULL);
	close_acquired(NULL);
}

static void operate(const struct task *task)
{
	sd_bus_message *request = method(task->operation == READ ? "Read" : "Write"), *reply;
	const void *bytes;
	uint64_t count = 0;
	size_t size = 0;

	if (task->operation == READ ? sd_bus_message_append(request, "tt", (uint64_t)0, (uint64_t)task->size) < 0 :
	    sd_bus_message_append(request, "t", (uint64_t)0) < 0 ||
	    sd_bus_message_append_array(request, 'y', held.bytes, task->size) < 0)
		die("D-Bus");
	reply = call(request);
	if (task->operation == READ) {
		if (sd_bus_message_read_array(reply, 'y', &bytes, &size) < 0)
			die("D-Bus");
		expect((ssize_t)size, task->size, "D-Bus");
		memcpy(held.bytes, bytes, size);
	} else {
		if (sd_bus_message_read(reply, "t", &count) < 0)
			die("D-Bus");
		expect((ssize_t)count, task->size, "D-Bus");
	}
	sd_bus_message_unref(reply);
}

static int bus_offers(const struct task *task)
{
	return at_once(task) && (on_disk(task) || task->operation == OPEN_DISK);
}

static int polkit_offers(const struct task *task)
{
	return task->operation == OPEN_DISK;
}

static void perform(const struct task *task)
{
	if (task->operation == OPEN_DISK)
		acquire(task);
	else
		operate(task);
}

struct way bus = { .name = "D-Bus service", .prepare = prepare_bus, .open = open_bus, .offers = bus_offers,
		   .perform = perform, .release = close_acquired };
struct way polkit = { .name = "D-Bus service and polkit", .prepare = prepare_polkit, .open = open_bus,
		      .offers = polkit_offers, .perform = perform, .release = close_acquired, .slow = 1 };
