/* SPDX-License-Identifier: Apache-2.0 */
/* System headers that Swift's Glibc module leaves out. */
#ifndef CLINUX_HEADERS_H
#define CLINUX_HEADERS_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#endif
