<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
throw new RuntimeException('the password is hunter2');
