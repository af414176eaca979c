// SPDX-License-Identifier: Apache-2.0
//
// What the files of the master's operator API share.

#pragma once

#include "api/master_internal.h"
#include "api/v1_common.h"
