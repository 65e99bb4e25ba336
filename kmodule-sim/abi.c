#include "postern_abi.h"
