#include "CKappaJSON.h"
