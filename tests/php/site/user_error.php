<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
trigger_error('hunter2', E_USER_ERROR);
