<?php

declare(strict_types=1);

require getenv('SHIM_AUTOLOAD');
