// SPDX-License-Identifier: Apache-2.0
//
// The router's table, for those in this folder who list it (/help).

#pragma once

#include "api/api.h"

const char *api_router_process(const struct api_router *router);
// The route at *position (start with 0), or NULL; moves on. In the order of adding.
const struct api_route *api_router_next(const struct api_router *router, size_t *position);
